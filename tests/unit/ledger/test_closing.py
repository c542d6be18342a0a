"""Tests that months close on real databases: each entry is in one month's statements, whatever is written concurrently
and whatever the clocks show."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from scnet_hub.adapters.db.database import Database, Tx
from scnet_hub.adapters.db.queries import entries as entry_rows
from scnet_hub.adapters.db.queries import periods as period_rows
from scnet_hub.adapters.db.queries import statements as statement_rows
from scnet_hub.domain.settlement.netting import positions
from scnet_hub.domain.settlement.settlement import EARNING
from scnet_hub.errors import KeyTaken
from scnet_hub.services.accounting import audit, books, sealing
from scnet_hub.services.settlement import closing, exports
from scnet_hub.services.settlement.board import board
from scnet_hub.services.settlement.documents import statement_of
from scnet_hub.units import CREDIT
from tests.builders.postgres import undone

from .closing import RULES, charge, close, counted, day, grant, told
from .examples import wired

START = day("2026-10-05")
MONTHS = ("2026-10", "2026-11", "2026-12", "2027-01", "2027-02")
LAST, END = day("2027-02-02"), day("2027-03-02")  # of what is told, and of its months

STEPS = st.one_of(
    st.tuples(
        st.just("charge"),
        st.sampled_from(["alpha", "beta", "gamma"]),
        st.sampled_from([("p", CREDIT), ("q", CREDIT), ("m", "CNY")]),
        st.integers(1, 10**9),
        st.integers(0, 70),  # days ago that it began
        st.integers(-3, 3),  # days that the writer's clock is wrong
    ),
    st.tuples(st.just("reverse"), st.integers(0, 20), st.integers(-3, 3)),
    st.tuples(st.just("later"), st.integers(1, 25)),
    st.tuples(st.just("close")),
    st.tuples(st.just("close")),
)


class Teller:
    """Tells a story of charges, corrections and months that close, in one transaction."""

    def __init__(self, tx: Tx) -> None:
        self.tx, self.now, self.charged, self.closed = tx, START, [""][:0], [""][:0]
        grant(tx, START)
        grant(tx, START, "q", grantor="beta", rate=333_333)
        grant(tx, START, "m", unit="CNY")
        closing.begin(tx, RULES.zone, START)

    def charge(self, centre: str, of: tuple[str, str], micros: int, ago: int, wrong: int) -> None:
        session, (project, unit) = f"s{len(self.charged)}", of
        at, now = self.now - timedelta(days=ago), self.now + timedelta(days=wrong)
        charge(self.tx, session, micros, at, now, centre=centre, project=project, unit=unit)
        self.charged.append(f"settle:{session}")

    def reverse(self, which: int, wrong: int) -> None:
        if self.charged:
            books.reverse(
                self.tx, self.charged[which % len(self.charged)], self.now + timedelta(days=wrong), "corrected"
            )

    def later(self, days: int) -> None:
        self.now = min(self.now + timedelta(days=days), LAST)

    def close(self) -> None:
        """The next month, if its time has passed."""
        closing.begin(self.tx, RULES.zone, self.now)
        row = next((row for row in period_rows.every(self.tx) if row.state != "closed"), None)
        if row and row.state == "closing":
            close(self.tx, row.name, self.now)
            self.closed.append(row.name)

    def to_the_end(self) -> None:
        self.now = END
        for _ in MONTHS:
            self.close()


def earnings(tx: Tx) -> list[tuple[str, dict[tuple[str, str], int]]]:
    """Entries by which somebody earns, with what they put on which account."""
    found = []
    for _, entry, _, _ in entry_rows.every(tx):
        sums: dict[tuple[str, str], int] = defaultdict(int)
        for one in entry.postings:
            sums[entry.unit, one.account] += one.amount.micros
        if entry.kind != "settle" and any(account.partition(":")[0] in EARNING for _, account in sums):
            found.append((entry.key, sums))
    return found


def test_i9_i10_i18_each_entry_is_in_one_months_statements_which_come_again_from_the_journal(
    database: Database,
) -> None:
    """The wired path, with clocks that are wrong by days."""

    @settings(max_examples=wired(20, database.engine), deadline=None)
    @given(st.lists(STEPS, min_size=5, max_size=25))
    def holds(story: list[tuple[Any, ...]]) -> None:
        with undone(database) as tx:
            teller = Teller(tx)
            for step in story:
                getattr(teller, step[0])(*step[1:])
            teller.to_the_end()
            assert len(period_rows.every(tx)) >= len(MONTHS) and {
                row.state for row in period_rows.every(tx)[: len(MONTHS)]
            } == {"closed"}
            _sums_are_the_entries(tx)
            for name in teller.closed:
                _nobody_wins(tx, name)
                _again(tx, name)
            assert audit.verify(tx).ok

    holds()


def _sums_are_the_entries(tx: Tx) -> None:
    entries = earnings(tx)
    assert counted(tx) == Counter({key: 1 for key, _ in entries})
    wanted: dict[tuple[str, str], int] = defaultdict(int)
    for _, sums in entries:
        for account, micros in sums.items():
            wanted[account] += micros
    got: dict[tuple[str, str], int] = defaultdict(int)
    for (_, unit, _), document in told(tx).items():
        for line in document["lines"]:
            got[unit, line["account"]] += line["micros"]
    assert {one: micros for one, micros in wanted.items() if micros} == {
        one: micros for one, micros in got.items() if micros
    }


def _nobody_wins(tx: Tx, name: str) -> None:
    rows = statement_rows.list_for(tx, period=name)
    for unit in {row.unit for row in rows}:
        assert sum(statement_of(row).net.micros for row in rows if row.unit == unit) == 0
    assert sum(one.micros for one in positions(statement_of(row) for row in rows).values()) == 0


def _again(tx: Tx, name: str) -> None:
    """What came later changed no number of it."""
    made = {
        (one.period, one.unit, each.member): closing.statement_row(one, each, START, START).document
        for one in closing.settled(tx, name, RULES)
        for each in one.statements
    }
    assert made == {key: document for key, document in told(tx).items() if key[0] == name}


def test_a_correction_after_the_close_is_in_the_next_statement_with_its_link(database: Database) -> None:
    def story(tx: Tx) -> None:
        grant(tx, START)
        charge(tx, "s1", 100_000_000, day("2026-10-10"), day("2026-10-10"))
        close(tx, "2026-10", day("2026-11-04"))
        before = told(tx)
        books.reverse(tx, "settle:s1", day("2026-11-05"), "node failure")
        charge(tx, "s2", 40_000_000, day("2026-10-30"), day("2026-11-06"))
        close(tx, "2026-11", day("2026-12-02"))
        assert {key: one for key, one in told(tx).items() if key[0] == "2026-10"} == before
        lines = told(tx)["2026-11", CREDIT, "north"]["lines"]
        assert [(one["column"], one["micros"], one["corrects"], one["entries"]) for one in lines] == [
            ("clawback", -57_000_000, "2026-10", 2)
        ]

    database.run_here(story)
    assert database.read_here(audit.verify).ok


def test_what_concerns_a_time_before_the_books_is_in_their_first_month(database: Database) -> None:
    def story(tx: Tx) -> None:
        grant(tx, START)
        closing.begin(tx, RULES.zone, START)
        charge(tx, "s1", 5, day("2026-09-10"), START)
        close(tx, "2026-10", day("2026-11-04"))
        charge(tx, "s2", 7, day("2026-09-11"), day("2026-11-05"))
        close(tx, "2026-11", day("2026-12-04"))
        assert [row.name for row in period_rows.every(tx)] == ["2026-10", "2026-11", "2026-12"]
        assert counted(tx) == Counter({"settle:s1": 1, "settle:s2": 1})
        assert {line["corrects"] for line in told(tx)["2026-10", CREDIT, "north"]["lines"]} == {""}
        assert {line["corrects"] for line in told(tx)["2026-11", CREDIT, "north"]["lines"]} == {"2026-10"}

    database.run_here(story)


def test_a_closed_month_goes_home_from_the_accounts_that_it_came_from(database: Database) -> None:
    def story(tx: Tx) -> None:
        grant(tx, START)
        charge(tx, "s1", 100_000_000, START, START)
        close(tx, "2026-10", day("2026-11-04"))
        assert entry_rows.balance(tx, "centre:alpha") == entry_rows.balance(tx, "fee:federation") == 0
        assert entry_rows.balance(tx, "grants:ministry") == -(10**12) + 100_000_000
        assert not closing.issue(tx, "2026-10", closing.settled(tx, "2026-10", RULES), RULES, day("2026-11-05"))
        money = books.balance(tx, "p")
        assert money.settled.micros == 100_000_000 and money.granted == money.settled + money.available

    database.run_here(story)
    assert database.read_here(audit.verify).ok


def test_only_the_end_of_a_month_is_written_as_one(database: Database) -> None:
    database.run_here(grant, START)
    entry = next(entry for _, entry, _, _ in database.read_here(lambda tx: list(entry_rows.every(tx))))
    with pytest.raises(ValueError, match="is not the end of a month"):
        database.run_here(books.settle, entry)


def test_the_statements_name_the_journal_that_they_are_made_from(database: Database) -> None:
    def story(tx: Tx) -> None:
        grant(tx, START)
        charge(tx, "s1", 5, START, START)
        close(tx, "2026-10", day("2026-11-04"))
        charge(tx, "s2", 5, START, day("2026-11-05"))

    database.run_here(story)
    database.run_here(sealing.seal)
    row = database.read_here(period_rows.every)[0]
    journal = list(database.read_here(lambda tx: list(entry_rows.every(tx))))
    assert row.sealed == 2 and [one[3] for one in journal if one[2] == row.sealed] == [row.head]
    assert max(one[0] for one in journal if one[2] is not None and one[2] <= row.sealed) == row.last_entry


def test_the_board_and_the_files_are_the_same_of_both_databases(database: Database, tmp_path: Path) -> None:
    def story(tx: Tx) -> None:
        grant(tx, START)
        charge(tx, "s1", 100_000_000, START, START)
        close(tx, "2026-10", day("2026-11-04"))
        charge(tx, "s2", 20_000_000, day("2026-11-05"), day("2026-11-05"))

    database.run_here(story)
    found = database.read_here(board, RULES, {}, day("2026-11-06"))
    assert [(one["name"], one["state"]) for one in found["periods"]] == [("2026-11", "open"), ("2026-10", "closed")]
    sums = {"centre": 19, "fee": 1, "grants": -999_900, "project": 999_880}
    assert found["trial"] == [{"unit": CREDIT, "sum": 0, "accounts": sums}]
    assert found["answers"]["issued"] == 3 and len(found["netting"]["payments"]) == 2
    assert (found["centres"], found["suspense"]["count"]) == ([], 0)
    database.read_here(exports.bills, "2026-10", CREDIT, RULES, {"federation": "Here"}, None, tmp_path / "bills.csv")
    assert (tmp_path / "bills.csv").read_text().count("settle:s1") == 1
    database.read_here(exports.usage, "2026-10", "", RULES, tmp_path / "usage.jsonl")
    assert (tmp_path / "usage.jsonl").read_text() == ""


# ---- several at once


def test_months_close_while_many_write_and_each_entry_is_counted_once(database: Database) -> None:
    """Writers with clocks of their own, wrong by days, beside an operator who closes month after month."""
    for project in "pq":
        database.run_here(grant, START, project)
    database.run_here(closing.begin, RULES.zone, START)
    now = [START]
    numbers = iter(range(10**6))
    lock = threading.Lock()

    def write(seed: int) -> None:
        random = Random(seed)
        for _ in range(30):
            with lock:
                number, today = next(numbers), now[0]
            at = today - timedelta(days=random.randint(0, 60))
            wrote = today + timedelta(days=random.randint(-4, 4))
            one = (f"s{number}", random.randint(1, 10**6), at, wrote)
            database.run_here(charge, *one, project=random.choice("pq"), centre=random.choice(["alpha", "gamma"]))
            if number % 5 == 0:
                database.run_here(_reversed, f"settle:s{number}", wrote)

    def operate() -> None:
        for name in MONTHS[:3]:
            with lock:
                now[0] += timedelta(days=31)
            database.run_here(closing.cut, name, RULES, {}, "olga", now[0])
            found = database.read_here(closing.settled, name, RULES)
            database.run_here(closing.issue, name, found, RULES, now[0])

    with ThreadPoolExecutor(5) as pool:
        for done in [*(pool.submit(write, seed) for seed in range(4)), pool.submit(operate)]:
            done.result()
    for name in MONTHS[3:]:
        database.run_here(close, name, END)
    database.read_here(_sums_are_the_entries)
    for name in MONTHS:
        database.read_here(_nobody_wins, name)
        database.read_here(_again, name)
    found = database.read_here(audit.verify)
    assert found.ok, found.problems


def _reversed(tx: Tx, key: str, at: datetime) -> None:
    books.reverse(tx, key, at, "corrected")


@pytest.fixture
def on_postgresql(new_database: Callable[[str], str]) -> Iterator[Database]:
    """SQLite has one writer at a time."""
    db = Database(new_database("postgresql"))
    db.open()
    yield db
    db.close()


def waits(db: Database) -> bool:
    """Whether somebody waits for the entries' table."""
    query = (
        "SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation WHERE c.relname = 'scnet_entries' "
        "AND NOT l.granted"
    )
    with db.engine.connect() as tx:
        return bool(tx.execute(text(query)).scalar())


def test_an_entry_that_is_being_written_when_its_month_is_cut_is_in_it(on_postgresql: Database) -> None:
    db = on_postgresql
    db.run_here(grant, START)
    with ThreadPoolExecutor(1) as pool:
        with db.engine.begin() as tx:
            charge(tx, "s1", 5, START, START)
            cut = pool.submit(db.run_here, closing.cut, "2026-10", RULES, {}, "olga", day("2026-11-02"))
            while not waits(db):
                assert not cut.done()
        cut.result()
    db.run_here(
        lambda tx: closing.issue(tx, "2026-10", closing.settled(tx, "2026-10", RULES), RULES, day("2026-11-02"))
    )
    assert db.read_here(counted) == Counter({"settle:s1": 1})


@pytest.mark.parametrize("level", ["SERIALIZABLE", "READ COMMITTED"])
def test_an_entry_that_comes_while_its_month_is_cut_is_in_the_next_one(on_postgresql: Database, level: Any) -> None:
    """Also if its transaction began, and saw the month open, before the cut."""
    db = on_postgresql
    db.run_here(grant, START)
    db.run_here(closing.begin, RULES.zone, START)
    began, go = threading.Event(), threading.Event()

    def write() -> None:
        with db.engine.execution_options(isolation_level=level).begin() as tx:
            assert [row.state for row in period_rows.every(tx)] == ["open"]
            began.set()
            go.wait()
            charge(tx, "s1", 5, START, START)

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(write)
        began.wait()
        with db.engine.execution_options(isolation_level="READ COMMITTED").begin() as tx:
            closing.cut(tx, "2026-10", RULES, {}, "olga", day("2026-11-02"))
            go.set()
            while not waits(db):
                assert not done.done()
        done.result()
    db.run_here(
        lambda tx: closing.issue(tx, "2026-10", closing.settled(tx, "2026-10", RULES), RULES, day("2026-11-02"))
    )
    assert db.read_here(counted) == Counter()
    db.run_here(close, "2026-11", day("2026-12-02"))
    assert db.read_here(counted) == Counter({"settle:s1": 1})
    assert db.read_here(told)["2026-11", CREDIT, "north"]["lines"][0]["corrects"] == "2026-10"


def test_two_operators_at_once_close_a_month_once(database: Database) -> None:
    database.run_here(grant, START)
    database.run_here(charge, "s1", 5, START, START)

    def one(_: int) -> object:
        try:
            database.run_here(closing.cut, "2026-10", RULES, {}, "olga", day("2026-11-02"))
            found = database.read_here(closing.settled, "2026-10", RULES)
            return database.run_here(closing.issue, "2026-10", found, RULES, day("2026-11-02"))
        except KeyTaken as error:
            return error

    with ThreadPoolExecutor(4) as pool:
        pool.map(one, range(4))
    assert [row.state for row in database.read_here(period_rows.every)] == ["closed", "open"]
    assert database.read_here(counted) == Counter({"settle:s1": 1})
    assert database.read_here(audit.verify).ok
