"""Tests that every change of state is recorded: who made it, and when. An automatic change has a time and no person's
name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from scnet_hub.adapters.db.database import Database, Tx
from scnet_hub.adapters.db.queries import allocations as allocation_rows
from scnet_hub.adapters.db.queries import entries as entry_rows
from scnet_hub.adapters.db.queries import mails as mail_rows
from scnet_hub.adapters.db.queries import periods as period_rows
from scnet_hub.adapters.db.queries import projects as project_rows
from scnet_hub.adapters.db.queries import statements as statement_rows
from scnet_hub.adapters.db.queries import usage as usage_rows
from scnet_hub.adapters.db.queries.projects import MemberRow, ProjectRow
from scnet_hub.services.accounting import suspense_decisions
from scnet_hub.services.projects import allocations
from scnet_hub.services.projects.allocations import Wish
from scnet_hub.services.settlement import answers, closing
from scnet_hub.services.settlement.answers import Reader
from scnet_hub.units import credits
from tests.builders.postgres import undone
from tests.unit.ledger.closing import RULES, charge, close, day, grant
from tests.unit.ledger.runs import run
from tests.unit.metering.ended import NOW as LATER
from tests.unit.metering.ended import Ended

NOW = datetime(2026, 11, 23, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def tx(new_database: Callable[[str], str]) -> Iterator[Tx]:
    db = Database(new_database("sqlite"))
    db.open()
    with undone(db) as tx:
        yield tx
    db.close()


def test_an_allocation_says_who_asked_and_who_answered_and_its_end_when(tx: Tx) -> None:
    project_rows.upsert(
        tx, ProjectRow(id="p", title="P", max_sessions=1, max_cores=1, max_gpus=0), [MemberRow(person="ada", role="pi")]
    )
    wish = Wish(project="p", amount=credits(5), begins_at=NOW + 2 * DAY, ends_at=NOW + 9 * DAY, words="tides")
    for name in ("a1", "a2", "a3"):
        allocations.ask(tx, name, wish, "ada", NOW, centres=[])
    allocations.approve(tx, "a1", "olga", "enjoy", NOW + DAY, grantor="ministry", amount=credits(3))
    allocations.decline(tx, "a2", "olaf", "too much", NOW + DAY)
    allocations.withdraw(tx, "a3", "ada", NOW + DAY)
    told = {
        row.id: (row.state, row.asked_by, row.asked_at, row.decided_by, row.decided_at)
        for row in allocation_rows.list_for(tx)
    }
    asked, then = ("ada", NOW), NOW + DAY
    assert told == {
        "a1": ("approved", *asked, "olga", then), "a2": ("declined", *asked, "olaf", then),
        "a3": ("withdrawn", *asked, "ada", then),
    }  # fmt: skip
    allocations.renew(tx, NOW + 2 * DAY)
    ((_, granted),) = entry_rows.newest(tx, "p")
    assert (granted.kind, granted.actor, granted.at) == ("grant", "olga", NOW + 2 * DAY)
    allocations.renew(tx, NOW + 9 * DAY)
    ended = allocation_rows.get(tx, "a1")
    assert ended and (ended.state, ended.ends_at, ended.decided_by) == ("ended", NOW + 9 * DAY, "olga")
    # that it was more that was asked for
    (letter,) = [one for one in mail_rows.newest(tx) if one.key == "allocation/a1/asked"]
    assert "ada asks for 5.00 credits" in letter.body and letter.written_at == NOW


def test_a_month_says_since_when_it_closes_and_who_closed_it(tx: Tx) -> None:
    grant(tx, day("2026-10-05"))
    charge(tx, "s1", 100_000_000, day("2026-10-10"), day("2026-10-10"))
    closing.begin(tx, RULES.zone, day("2026-11-03"))
    row = period_rows.every(tx)[0]
    assert row and (row.state, row.closing_at, row.closed_by) == ("closing", day("2026-11-03"), "")
    close(tx, "2026-10", day("2026-11-04"))
    row = period_rows.every(tx)[0]
    assert (
        row
        and (row.state, row.closed_by) == ("closed", "olga")
        and row.closed_at
        and row.closed_at >= day("2026-11-04")
    )


def test_a_statement_says_who_answered_it_when_and_in_which_words_to_the_last(tx: Tx) -> None:
    grant(tx, day("2026-10-05"))
    charge(tx, "s1", 100_000_000, day("2026-10-10"), day("2026-10-10"))
    closing.begin(tx, RULES.zone, day("2026-11-03"))
    close(tx, "2026-10", day("2026-11-04"))
    nora, olga = Reader(person="nora", members=frozenset({"north"})), Reader(person="olga", operator=True)
    name = ("2026-10", "GRANT", "north")
    said = []
    for who, verb, words, at in (
        (nora, "dispute", "s1 failed", day("2026-11-05")), (nora, "accept", "", day("2026-11-06")),
        (olga, "settle", "paid", day("2026-11-07")),
    ):  # fmt: skip
        answers.answer(tx, name, verb, words, who, at)
        row = statement_rows.get(tx, *name)
        assert row
        said.append((row.state, row.answered_by, row.answered_at))
    assert said == [
        ("disputed", "nora", day("2026-11-05")), ("accepted", "nora", day("2026-11-06")),
        ("settled", "olga", day("2026-11-07")),
    ]  # fmt: skip
    assert row.trail.splitlines() == [
        f"{day('2026-11-05'):%Y-%m-%d %H:%M} UTC: disputed by nora: s1 failed",
        f"{day('2026-11-06'):%Y-%m-%d %H:%M} UTC: accepted by nora",
        f"{day('2026-11-07'):%Y-%m-%d %H:%M} UTC: settled by olga: paid",
    ]
    (letter,) = [one for one in mail_rows.newest(tx) if one.key.startswith("statement/2026-10/GRANT/north/disputed")]
    assert (
        "nora disputes statement" in letter.body
        and "s1 failed" in letter.body
        and letter.written_at == day("2026-11-05")
    )


def test_a_decision_in_suspense_says_whose_it_is(tx: Tx) -> None:
    ended = Ended(tx).begin()
    ended.came(run(), doubt="its memory is no number")
    (waits,) = usage_rows.suspended(tx)
    suspense_decisions.decide(tx, waits.id, "drop", "its centre can't mend it", "olga", ended.pages, LATER + DAY)
    row = usage_rows.get(tx, waits.id)
    assert row and (row.decision, row.decided_by, row.decided_at) == (
        "drop: its centre can't mend it",
        "olga",
        LATER + DAY,
    )
    assert "An operator dropped a usage record: its centre can't mend it" in ended.log
