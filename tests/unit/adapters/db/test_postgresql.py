"""PostgreSQL beside SQLite: the same schema, the same limits or narrower ones that are said, and a session's whole
life."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from scnet_hub.adapters.db.database import Database, Tx
from scnet_hub.adapters.db.queries import entries as entry_rows
from scnet_hub.adapters.db.tables import Packed, Sealed, SealedText, UtcDateTime, metadata
from scnet_hub.errors import BadOption
from scnet_hub.services.accounting import audit, books, sealing
from scnet_hub.units import Amount
from tests.federation.world import RealWorld, World

LAST = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)


def at_the_limit(column: sa.Column[Any]) -> Any:
    """The longest, or largest, that a column takes; a character of three bytes counts as one."""
    match column.type:
        case sa.Text() | SealedText():
            return "漢" * 5000
        case sa.String(length=int(length)):
            return "漢" * length
        case sa.BigInteger():
            return 2**63 - 1
        case sa.Integer():
            return 2**31 - 1
        case sa.Boolean():
            return True
        case sa.Float():
            return 0.1 + 0.2
        case UtcDateTime():
            return LAST
        case Packed() | Sealed() | sa.JSON():
            return {"漢": [1, 0.1, None, "\\u0000 \n"]}
    raise AssertionError(f"what is the limit of {column}?")


def test_a_row_at_the_limit_of_every_column_comes_back_as_it_was(database: Database) -> None:
    rows = {table: {column.name: at_the_limit(column) for column in table.c} for table in metadata.sorted_tables}
    with database.engine.begin() as tx:
        for table, row in rows.items():
            tx.execute(table.insert().values(row))
    with database.engine.begin() as tx:
        for table, row in rows.items():
            assert tx.execute(sa.select(table)).one()._asdict() == row, table.name


def test_the_books_go_on_after_two_thousand_million_entries_on_postgresql(new_database: Callable[[str], str]) -> None:
    db = Database(new_database("postgresql"))
    db.open()
    now = datetime(2026, 11, 23, tzinfo=UTC)
    with db.engine.begin() as tx:
        for table in ("entries", "postings", "events"):
            tx.execute(sa.text(f"SELECT setval('scnet_{table}_id_seq', {2**31})"))
        assert books.grant(tx, "p", "first", Amount(10), now) and sealing.seal(tx) == 1
        assert audit.verify(tx).ok and entry_rows.newest(tx, "p")[0][0] > 2**31
    db.close()


def test_postgresql_refuses_a_name_that_is_too_long_in_a_sentence(new_database: Callable[[str], str]) -> None:
    db = Database(new_database("postgresql"))
    db.open()
    project = metadata.tables["scnet_projects"]

    def put(tx: Tx) -> None:
        tx.execute(
            project.insert().values({column.name: at_the_limit(column) for column in project.c} | {"id": "x" * 65})
        )

    with pytest.raises(BadOption, match="too long"):
        db.run_here(put)
    db.close()


@pytest.fixture
async def world(short_path: Path, new_database: Callable[[str], str]) -> AsyncIterator[World]:
    world = RealWorld(short_path, database=new_database("postgresql"))
    await world.start()
    yield world
    await world.stop()


async def test_a_session_lives_its_whole_life_on_postgresql(world: World) -> None:
    row = await world.submit()
    await world.reaches(row.session.id, "starting")
    assert (await world.federation.reports.balances("ada"))[0][0]["held"] > 0
    await world.kill()
    await world.restart()
    assert (await world.federation.lookup.get(row.session.id)).session.state == "starting"
    await world.federation.stopping.cancel(await world.federation.lookup.get(row.session.id))
    ended = await world.reaches(row.session.id, "charged")
    assert ended.session.charged is not None and not ended.session.live and world.jobs(row.session.id) == 1
    balance = (await world.federation.reports.balances("ada"))[0][0]
    assert balance["held"] == 0 and balance["available"] == pytest.approx(100 - balance["settled"])
    assert set((await world.federation.db.run(entry_rows.trial_balance)).values()) == {0}
    assert (await world.federation.decision_log.explain(row.session.id, "ada"))["decisions"]
