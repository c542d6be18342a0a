"""The database as a place that can be full, busy or away: what could not be written is said, and was not; what raced is
exact."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from scnet_hub.adapters.db.database import Database, Tx, by_locks
from scnet_hub.adapters.db.engines import make_engine
from scnet_hub.adapters.db.queries import entries as entry_rows
from scnet_hub.domain.ledger import entries
from scnet_hub.errors import BadOption, NotStored, SpecError
from scnet_hub.units import credits
from tests.builders.postgres import PostgreSQL

NOW = datetime(2026, 11, 23, tzinfo=UTC)
WRITERS = 4


@pytest.fixture
def server(new_database: Callable[[str], str]) -> Any:
    """A database on PostgreSQL alone."""
    db = Database(new_database("postgresql"))
    db.open()
    yield db
    db.close()


def fill(tx: Tx, times: int) -> None:
    tx.exec_driver_sql("CREATE TABLE IF NOT EXISTS lines (text TEXT)")
    for number in range(times):
        tx.exec_driver_sql(f"INSERT INTO lines VALUES ('{number} {'x' * 400}')")


def lines(tx: Tx) -> int:
    return int(tx.exec_driver_sql("SELECT count(*) FROM lines").scalar_one())


async def test_a_full_disk_changes_nothing_and_is_said_until_there_is_room(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path / 'broker.sqlite'}")
    db.open()
    try:
        await db.run(fill, 1)
        # what it has now is all it may have
        await db.run(lambda tx: tx.exec_driver_sql("PRAGMA max_page_count = 1").all())
        with pytest.raises(NotStored, match="full") as said:
            await db.run(fill, 2000)
        assert said.value.status == 503 and said.value.hint
        assert await db.run(lines) == 1
        await db.run(lambda tx: tx.exec_driver_sql("PRAGMA max_page_count = 100000").all())
        await db.run(fill, 3)
        assert await db.run(lines) == 4
    finally:
        db.close()


def test_a_server_that_is_away_is_said_without_its_address_and_login(
    server: Database, caplog: pytest.LogCaptureFixture
) -> None:
    server.engine.dispose()
    server._engine = make_engine("postgresql://the-login:the-password@127.0.0.1:1/the-database")
    for work in (server.run_here, server.read_here):
        with pytest.raises(NotStored, match="server can't be reached") as said:
            work(lines)
        assert not [word for word in ("the-", "127.0.0.1", "port") if word in f"{said.value} {said.value.hint}"]
    assert "127.0.0.1" in caplog.text and "the-password" not in caplog.text


# ---- several at once


def counters(tx: Tx, *values: int) -> None:
    tx.exec_driver_sql("CREATE TABLE counters (id INTEGER PRIMARY KEY, value INTEGER)")
    for number, value in enumerate(values):
        tx.exec_driver_sql(f"INSERT INTO counters VALUES ({number}, {value})")


def values(tx: Tx) -> list[int]:
    return [row.value for row in tx.exec_driver_sql("SELECT value FROM counters ORDER BY id")]


def count_on(tx: Tx, number: int) -> None:
    """Reads, and writes what it read plus one: wrong wherever another's write comes between."""
    value = tx.exec_driver_sql(f"SELECT value FROM counters WHERE id = {number}").scalar_one()
    tx.exec_driver_sql(f"UPDATE counters SET value = {value + 1} WHERE id = {number}")


def at_once(work: Callable[[int], Any]) -> list[Any]:
    """What each of several threads got."""
    with ThreadPoolExecutor(WRITERS) as threads:
        return list(threads.map(work, range(WRITERS)))


def test_counters_that_several_read_and_write_end_exact(database: Database) -> None:
    database.run_here(counters, 0, 0)

    def work(writer: int) -> None:
        for step in range(20):
            database.run_here(count_on, (writer + step) % 2)

    at_once(work)
    assert database.run_here(values) == [WRITERS * 10, WRITERS * 10]


def spend(tx: Tx, number: int, between: Callable[[], object] = lambda: None) -> bool:
    """Takes 5 from one counter if all have 5 together: what it reads is more than what it writes."""
    enough = sum(values(tx)) >= 5
    between()
    if enough:
        tx.exec_driver_sql(f"UPDATE counters SET value = value - 5 WHERE id = {number}")
    return enough


def test_several_who_look_at_the_same_sum_do_not_spend_it_twice(database: Database) -> None:
    database.run_here(counters, *[5] * WRITERS)
    spent = [took for _ in range(3) for took in at_once(lambda writer: database.run_here(spend, writer))]
    assert sum(spent) == WRITERS and sum(database.run_here(values)) == 0


def test_what_was_decided_on_a_sum_that_another_changed_is_decided_again(server: Database) -> None:
    """The two write different rows: only a transaction that is truly serializable sees that one was in the other's
    way."""
    server.run_here(counters, 5, 0)
    others: list[bool] = []

    def once() -> None:
        if not others:
            others.append(server.run_here(spend, 1))

    assert not server.run_here(spend, 0, once)
    assert others == [True] and server.run_here(values) == [5, -5]


def test_a_key_that_several_write_at_the_same_time_is_written_once(database: Database) -> None:
    """Once they all look for it first, which `add` does: none of them sees an error."""
    moved = (entries.Posting("project:p", credits(1)), entries.Posting("bank", -credits(1)))
    entry = entries.Entry(key="k", at=NOW, kind="adjust", project="p", postings=moved)

    def work(writer: int) -> bool:
        return bool(database.run_here(entry_rows.add, entry))

    assert sorted(at_once(work)) == [False] * (WRITERS - 1) + [True]


def lose(tx: Tx, code: str) -> None:
    tx.exec_driver_sql(f"DO $$ BEGIN RAISE EXCEPTION 'the other was first' USING ERRCODE = '{code}'; END $$")


@pytest.mark.parametrize("code", ["40001", "40P01"])
async def test_what_lost_a_race_is_run_again_from_its_beginning(server: Database, code: str) -> None:
    tries: list[int] = []

    def work(tx: Tx) -> str:
        counters(tx, 7)
        tries.append(1)
        if len(tries) < 3:
            lose(tx, code)
        return "done"

    assert await server.run(work) == "done" and len(tries) == 3
    assert await server.run(values) == [7]


async def test_what_loses_every_race_is_given_up_and_changed_nothing(server: Database) -> None:
    await server.run(counters, 7)
    server.tries = 4
    tries: list[int] = []

    def work(tx: Tx) -> None:
        tries.append(1)
        count_on(tx, 0)
        lose(tx, "40001")

    with pytest.raises(NotStored, match="the other was first") as said:
        await server.run(work)
    assert len(tries) == 4 and "Try again" in said.value.hint
    assert await server.run(values) == [7]


def test_work_that_locks_what_it_rests_on_waits_and_is_not_run_again(server: Database) -> None:
    server.run_here(counters, 0)
    tries: list[int] = []

    @by_locks
    def count_locked(tx: Tx, by: int) -> None:
        tries.append(1)
        value = tx.exec_driver_sql("SELECT value FROM counters WHERE id = 0 FOR UPDATE").scalar_one()
        tx.exec_driver_sql(f"UPDATE counters SET value = {value + by} WHERE id = 0")

    def work(writer: int) -> None:
        for _ in range(20):
            server.run_here(count_locked, 1)

    at_once(work)
    assert server.run_here(values) == [WRITERS * 20] and len(tries) == WRITERS * 20
    with server.engine.begin() as tx:  # others are as before
        assert tx.exec_driver_sql("SHOW transaction_isolation").scalar_one() == "serializable"


async def test_nothing_else_is_run_again(database: Database) -> None:
    tries: list[int] = []

    def work(tx: Tx) -> None:
        tries.append(1)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await database.run(work)
    assert len(tries) == 1


# ---- a server that is away


CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}' AND pid <> pg_backend_pid()"


async def test_connections_that_were_cut_while_nothing_ran_are_made_anew(
    server: Database, postgresql: PostgreSQL
) -> None:
    await server.run(counters, 7)
    postgresql.command(CUT.format(server.engine.url.database))
    assert await server.run(values) == [7]


async def test_a_connection_that_is_cut_at_commit_leaves_open_whether_it_is_stored(
    server: Database, postgresql: PostgreSQL
) -> None:
    await server.run(counters, 7)

    def cut(tx: Tx) -> None:
        count_on(tx, 0)
        postgresql.command(CUT.format(server.engine.url.database))

    with pytest.raises(NotStored) as said:
        await server.run(cut)
    assert "may or may not be stored" in said.value.hint

    def cut_early(tx: Tx) -> None:
        cut(tx)
        values(tx)

    with pytest.raises(NotStored) as said:
        await server.run(cut_early)
    assert "Nothing was changed" in said.value.hint


def test_a_database_that_is_not_there_is_said_and_its_password_is_not(postgresql: PostgreSQL) -> None:
    for url in (
        postgresql.url("nowhere").replace("scnet@", "scnet:s3cret@"),
        "postgresql://scnet:s3cret@/x?host=/nowhere",
        "nosuch://scnet:s3cret@somewhere/x",
        "s3cret",
    ):
        with pytest.raises(SpecError, match="database") as said:
            Database(url).open()
        assert "s3cret" not in f"{said.value} {said.value.hint}" and said.value.hint


async def test_what_a_database_cannot_hold_is_refused_in_a_sentence(server: Database) -> None:
    with pytest.raises(BadOption, match="NUL"):
        await server.run(entry_rows.get, "a\0b")
    assert await server.run(entry_rows.get, "ab") is None
