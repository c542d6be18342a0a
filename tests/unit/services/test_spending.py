"""Tests spending: by day of the federation's zone, centre, person and session; who sees it; the rate of spending and
how long credits last."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scnet_hub.adapters.db.database import Database, Tx
from scnet_hub.adapters.db.queries import lots as lot_rows
from scnet_hub.adapters.db.queries import projects as project_rows
from scnet_hub.adapters.db.queries import sessions as session_rows
from scnet_hub.adapters.db.queries.projects import MemberRow, ProjectRow
from scnet_hub.client.panels.state import balance_row
from scnet_hub.display import centre_status
from scnet_hub.domain.centres.state import CentreStates
from scnet_hub.domain.paging import MOST
from scnet_hub.domain.standard.centre import parse_centre
from scnet_hub.domain.standard.federation import FederationSpec
from scnet_hub.errors import BadOption, NotEntitled, NotFound
from scnet_hub.hub.views import formats, start_form
from scnet_hub.services.accounting import books
from scnet_hub.services.reporting.reports import Reports
from scnet_hub.services.reporting.usage_question import Question
from scnet_hub.units import CREDIT, credits
from tests.builders.copies import split

PAGE = """
id = "{0}"
name = "{1}"
transport = {{ kind = "local" }}
session = {{ python = "/usr/bin/python3", directory = "/s" }}
[[partition]]
name = "cpu"
cores = 64
tariff = {{ core_hour = 1 }}
"""
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)  # eight in the evening in Shanghai
MONTH = datetime(2026, 10, 31, 16, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
Json = dict[str, Any]


class Hub:
    """The reports over a project `p`, led by ada, with ben in it, and `q`, which is eve's, at two centres."""

    def __init__(self, db: Database) -> None:
        self.now = NOW
        load = CentreStates.of(parse_centre(PAGE.format(one, one.title()), source=one) for one in ("north", "south"))
        self.db, self.reports = db, Reports(db, load, lambda: self.now, FederationSpec(centres=["north", "south"]))
        self.spending = self.reports.spending
        db.run_here(self._people)

    def _people(self, tx: Tx) -> None:
        ceilings = {"max_sessions": 9, "max_cores": 99, "max_gpus": 9}
        p, q = (ProjectRow(id=one, title=one.upper(), **ceilings) for one in "pq")
        project_rows.upsert(tx, p, [MemberRow(person="ada", role="pi"), MemberRow(person="ben")])
        project_rows.upsert(tx, q, [MemberRow(person="eve")])
        for project in "pq":
            books.grant(tx, project, "first", credits(1000), NOW - 20 * DAY)

    def ran(
        self,
        name: str,
        person: str,
        *,
        at: datetime,
        cost: float | None = None,
        centre: str = "north",
        project: str = "p",
    ) -> None:
        """A session that began then; it ended and was charged, or runs on."""
        live = cost is None
        copy = {
            "cause": "first", "asked_at": at, "centre": centre, "partition": "cpu", "account": "a", "secret": "",
            "nonce": "", "copy_state": "running" if live else "settled", "copy_live": live, "started_at": at,
        }  # fmt: skip
        request = {"cores": 2, "gpus": 0, "gpu_model": "", "memory": 0, "walltime_s": 36000}

        def write(tx: Tx) -> None:
            own, of_copy = split(
                id=name, person=person, project=project, kind="batch", name=f"job {name}",
                state="queued" if live else "charged", live=live, request=request, placement={}, payload={}, why="",
                end_reason="", created_at=at, held=10_000_000, continues="", in_line=False,
                charged=None if cost is None else credits(cost).micros, **copy,
            )  # fmt: skip
            session_rows.insert(tx, own, of_copy)
            books.hold(tx, project, name, credits(10), at, centre=centre)
            if cost is not None:
                books.charge(tx, project, name, centre, credits(cost), at, f"formula of {name}", now=at + HOUR)

        self.db.run_here(write)

    async def asks(self, asker: str, by: str, *, operator: bool = False, **more: Any) -> Json:
        return await self.spending.usage(Question(**{"by": by, "since": MONTH} | more), asker, operator=operator)

    def balance(self, project: str = "p") -> Json:
        return next(one for one in self.db.run_here(self.reports._balances, "", "", MOST)[0] if one["id"] == project)


@pytest.fixture
def hub(database: Database) -> Hub:
    found = Hub(database)
    found.ran("a1", "ada", at=NOW - 2 * DAY, cost=3)
    # half past midnight there: the 23rd
    found.ran("a2", "ada", at=datetime(2026, 11, 22, 16, 30, tzinfo=UTC), cost=0.5, centre="south")
    found.ran("b1", "ben", at=datetime(2026, 11, 22, 15, 30, tzinfo=UTC), cost=4)
    found.ran("e1", "eve", at=NOW - DAY, cost=8, project="q")
    return found


async def test_a_day_is_one_of_the_federations_zone(hub: Hub) -> None:
    rows = {one["day"]: one for one in (await hub.asks("ada", "day", project="p"))["rows"]}
    assert len(rows) == 23 and min(rows) == "2026-11-01"
    assert {day: one["charged"] for day, one in rows.items() if one["charged"]} == {
        "2026-11-21": 3,
        "2026-11-22": 4,
        "2026-11-23": 0.5,
    }


async def test_usage_is_summed_by_centre_and_by_person(hub: Hub) -> None:
    found = await hub.asks("ada", "centre", project="p")
    assert [(one["centre_name"], one["charged"], one["sessions"]) for one in found["rows"]] == [
        ("North", 7, 2),
        ("South", 0.5, 1),
    ]
    assert (found["charged"], found["sessions"]) == (7.5, 3)
    people = (await hub.asks("ada", "person", project="p"))["rows"]
    assert [(one["person"], one["charged"]) for one in people] == [("ben", 4), ("ada", 3.5)]


async def test_a_session_has_each_of_its_charges_with_its_formula(hub: Hub) -> None:
    rows = (await hub.asks("ben", "session"))["rows"]
    assert [(one["session"], one["name"], one["centre"], one["charged"]) for one in rows] == [
        ("b1", "job b1", "north", 4)
    ]
    assert [(one["kind"], one["amount"], one["formula"]) for one in rows[0]["charges"]] == [
        ("charge", 4, "formula of b1")
    ]


async def test_what_was_taken_back_is_a_line_of_its_own_and_off_the_sum(hub: Hub) -> None:
    hub.db.run_here(books.reverse, "settle:b1", NOW, "a node of the centre failed")
    one = (await hub.asks("ben", "session"))["rows"][0]
    assert (one["charged"], [part["amount"] for part in one["charges"]]) == (0, [4, -4])
    assert one["charges"][1]["reverses"] == "settle:b1"
    assert hub.balance()["burn_rate"] == pytest.approx(3.5 / 6.833333, abs=0.01)


async def test_what_runs_is_in_flight_beside_what_was_charged(hub: Hub) -> None:
    hub.ran("b2", "ben", at=NOW - 2 * HOUR)
    found = await hub.asks("ben", "session")
    assert (found["charged"], found["in_flight"], found["sessions"]) == (4, 4, 2)
    newest = found["rows"][0]
    assert (newest["session"], newest["in_flight"], newest["charges"]) == ("b2", 4, [])
    days = (await hub.asks("ben", "day"))["rows"]
    assert (days[-1]["day"], days[-1]["in_flight"], days[-2]["in_flight"]) == ("2026-11-23", 4, 0)
    assert (await hub.asks("ben", "session", until=NOW - HOUR))["in_flight"] == 0
    assert hub.balance()["per_hour"] == 2


async def test_what_was_charged_of_a_session_while_it_runs_is_not_in_flight_too(hub: Hub) -> None:
    began = MONTH - 2 * HOUR  # in October
    hub.now = MONTH + HOUR
    hub.ran("b3", "ben", at=began)
    hub.db.run_here(
        books.charge,
        "p",
        "b3",
        "north",
        credits(4),
        began,
        "October's part",
        key="settle:b3/1",
        last=False,
        now=hub.now,
    )
    found = await hub.asks("ben", "session", since=began)
    one = next(row for row in found["rows"] if row["session"] == "b3")
    assert (one["live"], one["charged"], one["in_flight"]) == (True, 4, 2)
    assert hub.balance()["in_flight"] == 2


@pytest.mark.parametrize(
    ("person", "asked", "sees"),
    [
        ("ada", {}, {"a1", "a2"}),
        ("ada", {"project": "p"}, {"a1", "a2", "b1"}),
        ("ada", {"project": "p", "person": "ben"}, {"b1"}),
        ("ben", {"project": "p"}, {"b1"}),
        ("ben", {"person": "ben"}, {"b1"}),
        ("eve", {"project": "q"}, {"e1"}),
    ],
)
async def test_a_person_sees_their_own_and_a_leader_the_projects(
    hub: Hub, person: str, asked: Json, sees: set[str]
) -> None:
    assert {one["session"] for one in (await hub.asks(person, "charge", **asked))["rows"]} == sees


@pytest.mark.parametrize(
    ("person", "asked", "refused"),
    [
        ("ben", {"project": "p", "person": "ada"}, NotEntitled),
        ("eve", {"project": "p"}, NotFound),
        ("ada", {"project": "none"}, NotFound),
        ("ada", {"person": "eve"}, NotEntitled),
        ("ada", {"by": "moon"}, BadOption),
        ("ada", {"since": NOW - 400 * DAY}, BadOption),
        ("ada", {"until": MONTH}, BadOption),
    ],
)
async def test_others_usage_is_not_seen_and_nonsense_is_refused(
    hub: Hub, person: str, asked: Json, refused: type[Exception]
) -> None:
    with pytest.raises(refused):
        await hub.asks(person, **({"by": "day"} | asked))


async def test_an_operator_sees_all(hub: Hub) -> None:
    assert (await hub.asks("olga", "person", operator=True))["charged"] == 15.5
    assert (await hub.asks("olga", "day", operator=True, person="eve"))["charged"] == 8


def test_a_balance_says_how_fast_it_goes_and_until_when_it_lasts(hub: Hub) -> None:
    found = hub.balance()
    assert found["burn_rate"] == pytest.approx(7.5 / (6 + 20 / 24), abs=1e-4)  # since midnight six days ago
    left = datetime.fromisoformat(found["runs_out_at"]) - NOW
    assert left / DAY == pytest.approx(992.5 / found["burn_rate"], rel=1e-3)
    assert [one["charged"] for one in found["last_days"]][-3:] == [3, 4, 0.5] and found["last_days"][-1][
        "day"
    ] == "2026-11-23"
    assert found["as_of"] == {"settled": "2026-11-22T17:30:00.000Z", "in_flight": "2026-11-23T12:00:00.000Z"}


def test_what_spends_nothing_does_not_run_out(hub: Hub) -> None:
    hub.now = NOW + 30 * DAY
    assert (hub.balance()["burn_rate"], hub.balance()["runs_out_at"]) == (0, None)


def test_an_hours_use_is_no_rate_but_what_runs_has_an_outlook_of_its_own(hub: Hub) -> None:
    hub.now = NOW + 30 * DAY
    hub.ran("c1", "ben", at=hub.now - 2 * HOUR)
    found = hub.balance()
    assert (found["burn_rate"], found["runs_out_at"], found["per_hour"]) == (None, None, 2)
    lasts = datetime.fromisoformat(found["runs_out_now_at"]) - hub.now
    assert lasts / HOUR == pytest.approx((992.5 - 4) / 2, rel=1e-3)
    assert centre_status.pace(found).startswith(
        "the rate of spending is not known yet"
    ) and "Now 2.00 an hour, which lasts until" in centre_status.pace(found)
    rows = {one["label"]: str(one["text"]) for one in formats.pace(found, UTC)}
    assert (
        rows["Runs out"] == rows["Burn rate"] == "not known yet" and "2027" in rows["Runs out if all sessions continue"]
    )


def test_a_capped_member_sees_the_rest_of_the_cap_or_of_the_project(hub: Hub) -> None:
    def cap(tx: Tx) -> None:
        project = project_rows.get(tx, "p")
        assert project
        project_rows.upsert(
            tx, project, [MemberRow(person="ada", role="pi"), MemberRow(person="ben", cap=credits(10).micros)]
        )

    hub.db.run_here(cap)
    found = next(one for one in hub.db.run_here(hub.reports._balances, "ben", "", MOST)[0] if one["id"] == "p")
    assert found["own"] == {"cap": 10, "spent": 4, "held": 0, "available": 6} and found["available"] > 900
    assert (
        centre_status.mine(found) == "you may spend 6.00 of your 10.00 credits" and centre_status.available(found) == 6
    )
    assert start_form._project(found)["label"].endswith("– 6.00 credits available")
    shown = balance_row(found)
    assert shown["mine"] == "6.00" and shown["pace"].startswith("You may spend 6.00 of your 10.00 credits. ")
    assert formats.own(found) == "You may spend 6.00 of your 10.00 credits: 4.00 spent."


def test_the_days_are_read_again_only_where_something_was_charged(hub: Hub, counted: Callable[[], int]) -> None:
    hub.balance(), hub.balance("q")
    before = counted()
    hub.balance(), hub.balance("q")
    assert counted() == before
    hub.ran("a3", "ada", at=NOW - HOUR, cost=1)
    assert (hub.balance()["last_days"][-1]["charged"], counted()) == (1.5, before + 1)


def test_the_past_of_a_project_ends_at_what_it_has(hub: Hub) -> None:
    def burning(tx: Tx) -> Json:
        return hub.spending.burning(tx, "p", lot_rows.list_for(tx, "p", CREDIT), 0)

    found = hub.db.run_here(burning)
    assert [one["left"] for one in found["past"][-3:]] == [997, 997, 992.5] and found["past"][0][
        "left"
    ] == 1000  # no older than its books
    assert found["ahead"][0]["left"] == 992.5 and found["ahead"][-1]["left"] == 0


@pytest.fixture
def counted(database: Database) -> Callable[[], int]:
    """How often the charges were read."""
    from sqlalchemy import event

    asked: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *what: asked.append(what[2]))
    return lambda: sum("reverses" in one and "SELECT" in one and "postings" in one for one in asked)
