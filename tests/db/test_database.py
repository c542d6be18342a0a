"""The database as a place that can be full: what could not be written is said, and was not."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from scnet_hub.db import Database, Tx
from scnet_hub.errors import NotStored
from scnet_hub.ledger import books
from scnet_hub.units import credits

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def grant_much(tx: Tx, times: int) -> None:
    for number in range(times):
        books.grant(tx, "climate", f"lot {number} {'x' * 50}", credits(1), NOW)


def balance(tx: Tx) -> int:
    return books.balance(tx, "climate").available.micros


async def test_a_full_disk_changes_nothing_and_is_said_until_there_is_room(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path / 'broker.sqlite'}")
    db.open()
    try:
        await db.run(grant_much, 1)
        await db.run(lambda tx: tx.exec_driver_sql("PRAGMA max_page_count = 1").all())  # what it has now is all it may have
        with pytest.raises(NotStored, match="full") as said:
            await db.run(grant_much, 2000)
        assert said.value.status == 503 and said.value.hint
        assert await db.run(balance) == credits(1).micros
        await db.run(lambda tx: tx.exec_driver_sql("PRAGMA max_page_count = 100000").all())
        await db.run(grant_much, 3)
        assert await db.run(balance) == credits(3).micros
    finally:
        db.close()
