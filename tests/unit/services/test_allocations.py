"""Tests allocations: requested by those who may, answered by operators, begun and ended in their time; and what one
member may spend."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scnet_hub.adapters.db.database import Database, Tx
from scnet_hub.adapters.db.queries import lots as lot_rows
from scnet_hub.adapters.db.queries import projects as project_rows
from scnet_hub.domain.standard.federation import parse_federation
from scnet_hub.errors import BadOption, NotEntitled, NotFound, Overdrawn, Refused, SpecError
from scnet_hub.services.accounting import audit, books
from scnet_hub.services.projects import allocations, projects
from scnet_hub.services.projects.allocations import Wish
from scnet_hub.units import CREDIT, Amount, credits
from tests.builders.postgres import undone

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
DAY = timedelta(days=1)
PAGE = """
centres = ["a"]
[[project]]
id = "sea"
kind = "class"
pi = "prof"
managers = ["tutor"]
members = ["ada", "tutor"]
caps = { ada = 10 }
overdraft = 2
[project.grants]
first = 20
second = { amount = 5, until = 2026-12-01T00:00:00+08:00, centres = ["a"], grantor = "ministry", rate = 0.5 }
[[project]]
id = "free"
members = ["bob"]
"""


@pytest.fixture
def tx(database: Database) -> Iterator[Tx]:
    with undone(database) as work:
        projects.apply(work, parse_federation(PAGE, source="x").project, NOW)
        yield work


def wish(**changes: Any) -> Wish:
    return Wish(
        **{
            "project": "sea",
            "amount": credits(100),
            "begins_at": NOW,
            "ends_at": NOW + 30 * DAY,
            "words": "tides",
            **changes,
        }
    )


def ask(tx: Tx, person: str = "prof", name: str = "one", **changes: Any) -> Any:
    return allocations.ask(tx, name, wish(**changes), person, NOW, centres=["a", "b"])


def test_the_page_says_who_leads_what_was_granted_and_how_far_below_zero(tx: Tx) -> None:
    people = [(one.person, one.role, one.cap) for one in project_rows.people(tx, "sea")]
    assert people == [("prof", "pi", None), ("tutor", "manager", None), ("ada", "member", 10_000_000)]
    lots = {lot.name: lot for lot in lot_rows.list_for(tx, "sea", CREDIT)}
    assert (lots["second"].grantor, lots["second"].rate, lots["second"].centres) == ("ministry", 500_000, ("a",))
    assert lots["second"].expires_at == datetime(2026, 11, 30, 16, tzinfo=UTC) and lots["overdraft"].floor == 2_000_000
    projects.apply(tx, parse_federation(PAGE.replace("overdraft = 2", ""), source="x").project, NOW)
    assert books.balance(tx, "sea").overdraft == Amount(0) and books.balance(tx, "sea").granted == credits(25)


def test_what_is_approved_is_a_lot_until_its_end(tx: Tx) -> None:
    assert ask(tx).state == "requested"
    row = allocations.approve(tx, "one", "op", "enjoy", NOW, grantor="ministry", amount=credits(60))
    assert (row.state, row.micros, row.decided_by, row.answer) == ("active", 60_000_000, "op", "enjoy")
    assert books.balance(tx, "sea").available == credits(85)
    assert allocations.renew(tx, NOW + 30 * DAY) == 1 and books.expire(tx, NOW + 30 * DAY) == 2
    assert allocations.visible(tx, "one", "ada", operator=False).state == "ended"
    assert books.balance(tx, "sea").available == credits(20) and audit.verify(tx).ok


def test_one_that_begins_later_is_there_when_it_begins(tx: Tx) -> None:
    ask(tx, begins_at=NOW + DAY)
    assert allocations.approve(tx, "one", "op", "", NOW, grantor="ministry").state == "approved"
    assert books.balance(tx, "sea").available == credits(25)
    assert allocations.renew(tx, NOW + DAY) == 1 and allocations.renew(tx, NOW + DAY) == 0
    assert books.balance(tx, "sea").available == credits(125)


def test_a_renewal_takes_over_what_is_left(tx: Tx) -> None:
    ask(tx)
    allocations.approve(tx, "one", "op", "", NOW, grantor="ministry")
    books.hold(tx, "sea", "s", credits(110), NOW, centre="a")
    ask(tx, name="two", amount=credits(1), ends_at=NOW + 90 * DAY, renews="one")
    allocations.approve(tx, "two", "op", "", NOW + DAY, grantor="ministry")
    books.release(tx, "sea", "s", NOW + DAY)
    lots = {lot.name: (lot.granted, lot.available) for lot in lot_rows.list_for(tx, "sea", CREDIT)}
    assert lots["two"] == (1_000_000, 1_000_000)  # all of the old one was held at that moment
    assert lots["one"] == (100_000_000, 100_000_000)
    ask(tx, name="three", amount=credits(1), ends_at=NOW + 90 * DAY, renews="one")
    allocations.approve(tx, "three", "op", "", NOW + DAY, grantor="ministry")
    lots = {lot.name: (lot.granted, lot.available) for lot in lot_rows.list_for(tx, "sea", CREDIT)}
    assert lots["three"] == (101_000_000, 101_000_000) and lots["one"] == (0, 0)
    assert audit.verify(tx).ok


def test_only_who_leads_a_project_asks_and_where_nobody_does_each_member_may(tx: Tx) -> None:
    with pytest.raises(NotEntitled, match="Only prof and tutor may"):
        ask(tx, "ada")
    with pytest.raises(NotEntitled, match="not a member"):
        ask(tx, "bob")
    assert ask(tx, "tutor").asked_by == "tutor" and ask(tx, "bob", "two", project="free").asked_by == "bob"
    with pytest.raises(NotFound):
        allocations.visible(tx, "two", "prof", operator=False)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"amount": Amount(0)}, "cannot be allocated"),
        ({"amount": Amount(10**16)}, "cannot be allocated"),
        ({"ends_at": NOW - DAY}, "must end after it begins"),
        ({"begins_at": NOW + 2 * DAY, "ends_at": NOW + DAY}, "must end after it begins"),
        ({"ends_at": NOW + 9999 * DAY}, "three years at most"),
        ({"centres": ("a", "z")}, "no centre 'z'"),
        ({"words": "x" * 3000}, "over 2000 characters"),
        ({"renews": "none"}, "no allocation 'none'"),
    ],
)
def test_what_can_not_be_is_said(tx: Tx, changes: dict[str, Any], words: str) -> None:
    with pytest.raises((BadOption, NotFound), match=words):
        ask(tx, **changes)


def test_an_answer_is_given_once_and_a_no_has_a_reason(tx: Tx) -> None:
    ask(tx)
    with pytest.raises(BadOption, match="Give a reason"):
        allocations.decline(tx, "one", "op", " ", NOW)
    assert allocations.decline(tx, "one", "op", "too much", NOW).state == "declined"
    with pytest.raises(Refused, match="was declined by op already") as said:
        allocations.approve(tx, "one", "op", "", NOW, grantor="g")
    assert said.value.code == "already-decided"
    ask(tx, name="two")
    assert allocations.withdraw(tx, "two", "tutor", NOW).state == "withdrawn"


def test_a_project_does_not_flood_those_who_decide(tx: Tx) -> None:
    for number in range(allocations.OPEN):
        ask(tx, name=f"n{number}")
    with pytest.raises(Refused, match="wait for an answer") as said:
        ask(tx)
    assert said.value.code == "requests-open"


def test_i15_a_members_cap_counts_what_is_spent_and_what_is_held(tx: Tx) -> None:
    projects.check_cap(tx, "sea", "prof", credits(1000))
    projects.check_cap(tx, "sea", "ada", credits(10))
    with pytest.raises(
        Overdrawn, match=r"lets ada spend 10\.00 credits: 0\.00 credits are spent and 0\.00 credits held"
    ) as said:
        projects.check_cap(tx, "sea", "ada", credits(11))
    assert said.value.code == "over-cap" and said.value.details == {"needed": 11.0, "available": 10.0}


def test_what_ends_soon_is_said_while_it_can_still_be_spent(tx: Tx) -> None:
    lots = lot_rows.list_for(tx, "sea", CREDIT)
    assert allocations.ending(lots, NOW) == [
        "5.00 credits of second end on 30 Nov 2026 16:00 UTC (in 7 days): credits not spent by then are lost."
    ]
    assert "(tomorrow)" in allocations.ending(lots, datetime(2026, 11, 29, 15, tzinfo=UTC))[0]
    assert "(today)" in allocations.ending(lots, datetime(2026, 11, 30, 15, tzinfo=UTC))[0]
    assert allocations.ending(lots, NOW - 60 * DAY) == allocations.ending(lots, NOW + 60 * DAY) == []


@pytest.mark.parametrize(
    "said", ["first = 0", "first = -1", "first = nan", '"a/b" = 1', 'x = { amount = 1, until = "soon" }']
)
def test_a_grant_that_is_none_is_refused_with_the_key(said: str) -> None:
    with pytest.raises(SpecError, match=r"x: project\.0\.grants"):
        parse_federation(PAGE.replace("first = 20", said), source="x")
