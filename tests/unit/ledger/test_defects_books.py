"""Defects of other systems (each named in the list of eight), and the different behaviour of these books."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from scnet_hub.adapters.db.database import Database, Tx
from scnet_hub.adapters.db.queries import projects as project_rows
from scnet_hub.adapters.db.tables import metadata
from scnet_hub.domain.jobs import JobRequest
from scnet_hub.domain.standard.federation import parse_federation
from scnet_hub.errors import Overdrawn, OverQuota, Refused
from scnet_hub.services.accounting import audit, books
from scnet_hub.services.placement import quota_check
from scnet_hub.services.projects import allocations, projects
from scnet_hub.services.projects.allocations import Wish
from scnet_hub.units import credits
from tests.builders.postgres import undone

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
PAGE = """
centres = ["a"]
[[project]]
id = "sea"
members = ["ada"]
quota = { sessions = 9, cores = 9, gpus = 1 }
"""


@pytest.fixture
def tx(database: Database) -> Iterator[Tx]:
    with undone(database) as work:
        projects.apply(work, parse_federation(PAGE, source="x").project, NOW)
        yield work


def approved(tx: Tx, name: str, amount: float) -> None:
    wish = Wish(project="sea", amount=credits(amount), begins_at=NOW, ends_at=None, words="")
    allocations.ask(tx, name, wish, "ada", NOW, centres=["a"])
    allocations.approve(tx, name, "op", "", NOW, grantor="ministry", grantors={"ministry": credits(100)})


def test_defect_1_a_grantor_gives_no_more_than_it_has_however_many_grants_it_is(tx: Tx) -> None:
    """Where other grants existed, the new one was not added to their sum."""
    approved(tx, "one", 60)
    approved(tx, "two", 30)
    with pytest.raises(
        Refused, match=r"ministry has 10\.00 credits left of its budget of 100\.00 credits; this needs 20\.00"
    ) as said:
        approved(tx, "three", 20)
    assert said.value.code == "over-budget"
    with pytest.raises(Refused, match="no grantor 'nobody'"):
        allocations.approve(tx, "three", "op", "", NOW, grantor="nobody", grantors={"ministry": None})
    allocations.approve(
        tx, "three", "op", "", NOW, grantor="ministry", amount=credits(10), grantors={"ministry": credits(100)}
    )


def test_defect_2_every_ceiling_is_looked_at_not_only_the_first(tx: Tx) -> None:
    (project,), spec = project_rows.list_for(tx, "ada"), parse_federation(PAGE, source="x")
    asked = JobRequest(person="ada", project="sea", cores=4, gpus=2, walltime=timedelta(hours=1))
    with pytest.raises(OverQuota, match="may use 1 GPU at once"):
        quota_check.check(tx, spec, project, asked)
    with pytest.raises(OverQuota) as said:
        quota_check.check(tx, spec, project, replace(asked, cores=10))
    assert [one["what"] for one in said.value.details["over"]] == ["cores", "gpus"]


def test_defect_3_what_was_used_earlier_counts_and_a_report_that_comes_again_counts_once(tx: Tx) -> None:
    """Earlier usage of the month was not seen, and a second report of the same was counted beside the first."""
    books.grant(tx, "sea", "x", credits(10), NOW)
    books.hold(tx, "sea", "s", credits(6), NOW)
    first = NOW - timedelta(days=20)
    assert books.charge(tx, "sea", "s", "a", credits(6), first, now=NOW)
    assert not books.charge(tx, "sea", "s", "a", credits(6), first, now=NOW + timedelta(hours=1))
    assert books.balance(tx, "sea").available == credits(4)
    with pytest.raises(Overdrawn):
        books.hold(tx, "sea", "t", credits(5), NOW)


def test_defect_4_nothing_takes_an_entry_away_with_a_project_or_a_person(tx: Tx) -> None:
    """An invoice went with the customer that was deleted."""
    books.grant(tx, "sea", "x", credits(10), NOW)
    projects.apply(tx, parse_federation(PAGE.replace('members = ["ada"]', "members = []"), source="x").project, NOW)
    assert not project_rows.list_for(tx, "ada") and books.balance(tx, "sea").granted == credits(10)
    kept = ("scnet_entries", "scnet_postings", "scnet_chain", "scnet_lots", "scnet_holds")
    for name in kept:
        assert all(key.column.table.name in kept and not key.ondelete for key in metadata.tables[name].foreign_keys)


def test_defect_8_nothing_is_clamped_and_no_two_starts_pass_on_the_same_credits(tx: Tx) -> None:
    """A cost over the balance was cut to it while the log had it whole; and any number of servers passed the check at
    once."""
    books.grant(tx, "sea", "x", credits(5), NOW)
    books.hold(tx, "sea", "one", credits(3), NOW)
    with pytest.raises(Overdrawn, match=r"has 2\.00 credits available; this needs up to 3\.00"):
        books.hold(tx, "sea", "two", credits(3), NOW)
    books.charge(tx, "sea", "one", "a", credits(9), NOW)
    money = books.balance(tx, "sea")
    assert (money.settled, money.available) == (credits(9), credits(-4)) and audit.verify(tx).ok
