"""Leases on a federation with a clock of its own: extended while a session lives, told before they end, and never ended
by a mistake."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from scnet_hub.adapters.centre import Centre
from scnet_hub.adapters.db.database import Database, Tx
from scnet_hub.adapters.db.queries import mails as mail_rows
from scnet_hub.adapters.db.queries import open_sessions as open_session_rows
from scnet_hub.adapters.db.queries import sessions as session_rows
from scnet_hub.domain.jobs import JobRequest, LoadSnapshot
from scnet_hub.domain.placement.placement import Placement
from scnet_hub.domain.sessions.records import SessionCopy
from scnet_hub.domain.standard.centre import parse_centre
from scnet_hub.domain.standard.federation import parse_federation
from scnet_hub.errors import Overdrawn, Refused
from scnet_hub.services.accounting import audit, books
from scnet_hub.services.accounting.books import Balance
from scnet_hub.services.federation import Federation
from scnet_hub.services.projects import projects
from scnet_hub.services.sessions import lease_keeper
from scnet_hub.units import Amount, credits
from tests.builders.copies import change
from tests.federation.world import PAYLOAD, World
from tests.unit.domain.placement.build import load, node

NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
PAGE = """
centres = ["a"]
[[project]]
id = "p"
members = ["ada", "bob"]
grants = { first = 10 }
caps = { bob = 2 }
quota = { sessions = 10, cores = 100 }
"""
CENTRE = """
id = "{name}"
name = "{title}"
transport = {{ kind = "local" }}
session = {{ python = "/usr/bin/python3", directory = "/s" }}
[identity]
mode = "shared"
[[partition]]
name = "cpu"
cores = 64
max_walltime = "24h"
tariff = {{ core_hour = {price} }}
"""


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


class Hall:
    """A federation that nobody started: sessions are what a test says, and time goes when it says so. A job takes
    `core_unit` cores at once."""

    core_unit = 1

    def __init__(self, path: Path, page: str = PAGE, *, url: str = "") -> None:
        self.clock, self.url, self.page = Clock(), url or f"sqlite:///{path}", page
        self.fed = self.built()
        with self.fed.db.engine.begin() as tx:
            projects.apply(tx, self.fed.spec.project, NOW)

    def built(self) -> Federation:
        centres = {}
        for name, title, price in (("a", "Alpha", 1), ("b", "Beta", 3)):
            centres[name] = Centre.of(parse_centre(CENTRE.format(name=name, title=title, price=price), source=name))
        db = Database(self.url)
        db.open()
        return Federation(parse_federation(self.page, source="p"), centres, db, call_home_url="", clock=self.clock)

    async def restart(self) -> None:
        await self.close()
        self.fed = self.built()

    async def close(self) -> None:
        await self.fed.stop()
        self.fed.db.close()

    def decided(self, tx: Tx, **options: Any) -> Placement:
        for known in self.fed.states.centres.values():
            there = load(node("n", cores=64), core_unit=self.core_unit)
            known.update(LoadSnapshot(taken_at=self.clock.now, partitions={"cpu": there}))
        request = JobRequest(
            **(
                {"person": "ada", "project": "p", "cores": 1, "walltime": 8 * HOUR, "name": "x", "centre": "a"}
                | options
            )
        )
        return self.fed.placing.decide(tx, request)[0]

    async def start(self, session: str = "s", **options: Any) -> SessionCopy:
        def begun(tx: Tx) -> Refused | None:
            decision = self.decided(tx, **options)
            if refused := self.fed.submission.refusal(tx, decision):
                return refused
            self.fed.copies.insert(tx, session, decision, PAYLOAD)
            return None

        if refused := await self.fed.db.run(begun):
            raise refused
        return await self.row(session)

    async def runs(self, session: str = "s", **options: Any) -> SessionCopy:
        await self.start(session, **options)
        await self.set(session, copy_state="ready", ready_at=self.clock.now, started_at=self.clock.now, job_id="7")
        return await self.row(session)

    async def row(self, session: str = "s") -> SessionCopy:
        return await self.fed.lookup.get(session)

    async def set(self, session: str, **values: Any) -> None:
        await self.fed.db.run(change, session, **values)

    async def after(self, *times: timedelta) -> SessionCopy:
        """The session once so much time went by, with a look at the end of each."""
        for time in times:
            self.clock.now += time
            await self.fed.lease_keeper.once()
        return await self.row()

    async def minutes(self, number: int) -> SessionCopy:
        return await self.after(*[MINUTE] * number)

    async def balance(self) -> Balance:
        return await self.fed.db.run(books.balance, "p")

    def told(self, row: SessionCopy) -> list[str]:
        return [one.message for one in self.fed.reports.warnings(*row)]


@pytest.fixture
async def hall(tmp_path: Path) -> AsyncIterator[Hall]:
    made = Hall(tmp_path / "b.sqlite")
    yield made
    assert not (await made.fed.db.run(audit.verify)).problems
    await made.close()


async def test_a_lab_holds_an_hour_at_first_and_a_batch_job_all_that_it_may_cost(hall: Hall) -> None:
    lab, batch = await hall.start(), await hall.start("b", kind="batch", walltime=4 * HOUR)
    assert lab.session.held == credits(1).micros and lab.session.leased_until == NOW + 58 * MINUTE
    assert batch.session.held == credits(4).micros and batch.session.leased_until is None
    assert (await hall.balance()).on_hold == credits(5)


async def test_where_one_core_asked_is_two_allocated_two_are_held_and_extended(hall: Hall) -> None:
    """Slurm, CR_Core, two threads a core: its accounting says AllocCPUS=2."""
    one = await hall.runs("one", kind="lab")
    hall.core_unit = 2
    row = await hall.runs(kind="lab", name="y")
    assert (
        row.session.held == 2 * one.session.held
        and hall.fed.states.centres["a"].allotted(JobRequest(person="", project=""), "cpu").cores == 2
    )
    held = Amount((await hall.minutes(31)).session.held)
    assert held >= credits(3.0), "an hour and a half of two cores, at 1 credit"
    flown = await hall.fed.db.query(hall.fed.reports.flown, [open_session_rows.open_row(row := await hall.row())])
    assert flown.used[row.session.id] == credits("1.033334").micros, "31 minutes of two cores"


async def test_a_lab_shorter_than_a_lease_holds_all_of_it_and_is_not_looked_at(hall: Hall) -> None:
    row = await hall.runs(walltime=HOUR / 2)
    assert row.session.leased_until is None and row.session.held == credits("0.5").micros
    assert await hall.after(HOUR / 4) == row


async def test_a_lab_that_costs_more_than_there_is_may_start_and_is_told_early_enough(hall: Hall) -> None:
    row = await hall.runs(walltime=24 * HOUR, cores=4)
    assert row.session.live and (await hall.balance()).available == credits(6)


async def test_it_is_extended_before_half_of_it_is_over_and_in_all_holds_what_was_quoted(hall: Hall) -> None:
    await hall.runs()
    assert (await hall.after(20 * MINUTE)).session.held == credits(1).micros, "not due yet"
    row = await hall.after(10 * MINUTE)
    assert row.session.leased_until == NOW + 90 * MINUTE
    # two minutes more, in which it may have begun before
    assert credits("1.5") < Amount(row.session.held) < credits("1.6")
    row = await hall.after(*[20 * MINUTE] * 21)
    assert (
        row.session.leased_until is None and row.session.held == credits(8).micros and not row.session.lease_end_reason
    )
    assert (await hall.balance()).on_hold == credits(8) == await hall.fed.db.run(books.held, "s")


async def test_while_it_waits_it_holds_a_first_lease_for_however_long(hall: Hall) -> None:
    await hall.start()
    row = await hall.after(*[25 * MINUTE] * 30)
    assert (
        row.session.held == credits(1).micros
        and row.session.leased_until is not None
        and row.session.leased_until > hall.clock.now
    )
    await hall.set("s", copy_state="starting", started_at=hall.clock.now)
    row = await hall.after(30 * MINUTE)
    assert row.session.held > credits("1.5").micros


async def test_when_credits_run_out_its_person_is_warned_at_15_and_5_minutes_and_it_is_stopped_with_the_amounts(
    hall: Hall,
) -> None:
    await hall.runs(cores=5)  # 10 credits are two hours of it
    row = await hall.minutes(90)
    assert row.session.leased_until is not None and row.session.lease_end_reason and row.session.live
    assert (await hall.balance()).available < credits("0.5")
    left = row.session.leased_until - hall.clock.now
    assert left == 28 * MINUTE and not hall.told(row)
    (mail,) = await hall.fed.db.run(mail_rows.newest)
    assert (
        mail.person == row.session.person
        and "runs out of credits" in mail.subject
        and row.session.lease_end_reason in mail.body
    )
    row = await hall.after(left - 16 * MINUTE)
    assert not hall.told(row)
    row = await hall.minutes(1)
    (first,) = hall.told(row)
    assert (
        first.startswith("Credits are running out: this session will be stopped at 10:5")
        and "credits left, and " in first
    )
    row = await hall.minutes(10)
    (second,) = hall.told(row)
    assert second.startswith("Save your work now:") and row.session.live and not row.session.cancelled_at
    row = await hall.minutes(3)
    assert row.session.state == "stopping" and row.session.end_reason.startswith(
        "Stopped because credits ran out. Project p has 0."
    )
    assert " credits left, and " in row.session.end_reason and row.session.live, "until its centre says that it ended"
    assert not hall.told(row)


async def test_what_is_there_is_used_by_whole_minutes_before_it_ends(hall: Hall) -> None:
    await hall.runs(cores=5)
    row = await hall.minutes(31)
    assert row.session.leased_until == NOW + 88 * MINUTE
    await hall.start("b", kind="batch", name="b", walltime=HOUR)
    row = await hall.minutes(29)
    # nine credits' worth, and it may have begun two minutes before
    assert row.session.leased_until == NOW + 106 * MINUTE and row.session.lease_end_reason
    assert (await hall.balance()).available == Amount(0)


async def test_more_credits_in_time_and_it_runs_on_and_the_warning_goes(hall: Hall) -> None:
    await hall.runs(cores=5)
    row = await hall.minutes(108)
    assert hall.told(row)
    await hall.fed.db.run(books.grant, "p", "more", credits(50), hall.clock.now)
    row = await hall.minutes(1)
    assert not row.session.lease_end_reason and not hall.told(row) and row.session.leased_until == hall.clock.now + HOUR
    assert "Its credits are sufficient again." in [
        said for _, said in (await hall.fed.db.run(session_rows.events_of, ["s"]))["s"]
    ]


async def test_a_members_cap_counts_what_is_held_and_ends_a_lease_like_an_empty_project(hall: Hall) -> None:
    await hall.runs(person="bob")
    with pytest.raises(Overdrawn, match=r"lets bob spend 2\.00 credits: .* 1\.00 credits held"):
        await hall.start("t", person="bob", name="y", cores=2)
    row = await hall.minutes(90)
    assert (
        row.session.lease_end_reason.startswith("bob may spend of project p only 0.")
        and row.session.held <= credits(2).micros
    )
    assert (await hall.balance()).available >= credits(8)


async def test_credits_for_another_centre_do_not_extend_it(tmp_path: Path) -> None:
    page = PAGE.replace("{ first = 10 }", "{ first = 1, second = { amount = 50, centres = ['b'] } }")
    hall = Hall(tmp_path / "b.sqlite", page)
    await hall.runs()
    row = await hall.minutes(35)
    assert row.session.lease_end_reason.startswith("Project p has 0.00 credits left")
    await hall.close()


async def test_a_hold_keeps_the_lot_that_ends_and_what_ended_extends_nothing(tmp_path: Path) -> None:
    hall = Hall(
        tmp_path / "b.sqlite",
        PAGE.replace("{ first = 10 }", "{ first = { amount = 10, until = 2026-11-02T10:00:00Z } }"),
    )
    await hall.runs()
    row = await hall.minutes(59)
    assert row.session.leased_until == NOW + 118 * MINUTE and not row.session.lease_end_reason
    await hall.fed.bookkeeping.once()
    row = await hall.minutes(40)
    assert (
        row.session.lease_end_reason.startswith("Project p has 0.00 credits left")
        and row.session.leased_until == NOW + 118 * MINUTE
    )
    assert (await hall.balance()).on_hold == Amount(row.session.held)
    await hall.close()


async def test_it_is_extended_and_refused_on_either_database(database: Database) -> None:
    hall = Hall(Path(), url=database.engine.url.render_as_string(hide_password=False))
    await hall.runs(cores=5)
    row = await hall.minutes(90)
    assert row.session.leased_until == NOW + 118 * MINUTE and row.session.lease_end_reason.startswith(
        "Project p has 0.00 credits left"
    )
    await hall.fed.db.run(books.grant, "p", "more", credits(50), hall.clock.now)
    assert (await hall.minutes(1)).session.lease_end_reason == ""
    assert not (await hall.fed.db.run(audit.verify)).problems
    await hall.close()


async def test_a_centre_that_cannot_be_asked_keeps_its_sessions_even_where_credits_run_out(hall: Hall) -> None:
    await hall.runs(cores=5)
    await hall.set("s", unknown_since=NOW)
    row = await hall.minutes(30)
    assert row.session.leased_until is not None and row.session.leased_until > NOW + HOUR, "extended as ever"
    row = await hall.minutes(100)
    assert row.session.lease_end_reason and not row.session.cancelled_at
    await hall.set("s", unknown_since=None)
    assert (await hall.minutes(1)).session.state == "stopping"


async def test_a_broker_that_was_away_extends_what_it_can_and_stops_nothing_in_its_first_minutes(hall: Hall) -> None:
    await hall.runs()
    await hall.runs("t", cores=9, name="t", walltime=24 * HOUR)
    await hall.restart()
    row = await hall.after(5 * HOUR)
    other = await hall.row("t")
    assert (
        row.session.lease_end_reason
        and other.session.lease_end_reason
        and row.session.live
        and not row.session.cancelled_at
        and not other.session.cancelled_at
    )
    await hall.fed.db.run(books.grant, "p", "more", credits(500), hall.clock.now)
    row = await hall.minutes(4)
    assert row.session.leased_until == hall.clock.now - 3 * MINUTE + HOUR and row.session.held >= credits(6).micros
    assert not (await hall.row("t")).session.lease_end_reason


async def test_a_broker_that_was_away_stops_what_still_has_no_credits_after_them(hall: Hall) -> None:
    await hall.runs(cores=9)
    await hall.restart()
    row = await hall.after(5 * HOUR)
    assert not row.session.cancelled_at
    row = await hall.minutes(5)
    assert row.session.state == "stopping"


async def test_a_look_that_fails_for_one_session_ends_nothing_and_extends_the_others(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    await hall.runs()
    await hall.runs("t", name="t")
    await hall.set("s", partition="gone")  # its centre's page has it no more
    row = await hall.minutes(59)
    assert row.session.live and not row.session.cancelled_at and not row.session.lease_end_reason
    other = await hall.row("t")
    assert other.session.leased_until is not None and other.session.leased_until > NOW + HOUR


async def test_the_dearest_copy_counts_until_one_leads(hall: Hall) -> None:
    row = await hall.start()

    def elsewhere(tx: Tx) -> int:
        decision = hall.decided(tx, centre="b")
        assert decision.best is not None
        return hall.fed.second_chances._add(tx, [row], decision, decision.best, "stalled", "asked there too")

    assert await hall.fed.db.run(elsewhere) == 2
    row = await hall.row()
    assert row.session.held == credits(3).micros, "an hour at Beta costs 3"
    await hall.set("s", number=1, started_at=NOW)
    row = await hall.minutes(30)
    assert row.session.held == credits(3).micros and row.session.leased_until == NOW + 88 * MINUTE, (
        "an hour and a half at Alpha costs less"
    )


@pytest.mark.parametrize(("kind", "one", "both"), [("dask", 1, 3), ("batch", 2, 6)])
async def test_a_job_at_two_centres_holds_the_dearer_once_and_is_charged_for_the_one_that_ran(
    hall: Hall, kind: str, one: int, both: int
) -> None:
    """A Dask worker holds an hour at a time, a batch job its two hours; Beta is three times as dear."""
    asked = {"kind": kind, "walltime": 2 * HOUR}
    row = await hall.start(**asked)
    assert row.session.held == credits(one).micros

    def elsewhere(tx: Tx) -> int:
        decision = hall.decided(tx, centre="b", **asked)
        assert decision.best is not None
        return hall.fed.second_chances._add(tx, [row], decision, decision.best, "stalled", "asked there too")

    assert await hall.fed.db.run(elsewhere) == 2
    assert (await hall.row()).session.held == credits(both).micros
    assert (await hall.balance()).on_hold == credits(both)
    await hall.fed.db.run(books.charge, "p", "s", "a", credits(1), NOW, "one hour", now=NOW + HOUR)
    found = await hall.balance()
    assert (found.settled, found.on_hold) == (credits(1), Amount(0))


async def test_what_it_ran_over_its_hold_is_paid_by_what_there_is_and_else_is_below_zero(hall: Hall) -> None:
    await hall.runs(cores=5)
    await hall.minutes(117)
    await hall.fed.db.run(books.charge, "p", "s", "a", credits(15), NOW, "three hours", now=NOW + 3 * HOUR)
    found = await hall.balance()
    assert (found.settled, found.on_hold, found.available) == (credits(15), Amount(0), credits(-5))


async def test_a_lease_of_no_length_holds_for_the_whole_walltime_and_ends_those_that_there_were(tmp_path: Path) -> None:
    hall = Hall(tmp_path / "b.sqlite")
    await hall.runs()
    hall.page = PAGE + '[lease]\nlength = "0"\n'
    await hall.restart()
    assert (await hall.start("t", name="t", walltime=2 * HOUR)).session.held == credits(2).micros
    row = await hall.minutes(29)
    assert row.session.leased_until is None and row.session.held == credits(8).micros
    await hall.close()


async def test_what_runs_over_its_hold_is_in_flight_and_no_more_available(hall: Hall) -> None:
    await hall.runs(cores=9, person="ada")
    hall.clock.now += 1.5 * HOUR
    ((told,), _) = await hall.fed.reports.balances("ada")
    assert (told["settled"], told["in_flight"], told["held"], told["available"]) == (0, 13.5, 0, -3.5)
    (session,) = await hall.fed.reports.sessions([await hall.row()])
    assert (session["in_flight"], session["held"], session["leased_until"]) == (13.5, 0, "2026-11-02T09:58:00.000Z")
    assert session["per_hour"] == told["per_hour"] == 9


async def test_a_session_that_waits_or_has_ended_costs_nothing_an_hour_that_is_known(hall: Hall) -> None:
    waits = await hall.start("w")
    assert [one["per_hour"] for one in await hall.fed.reports.sessions([waits])] == [None]


async def test_at_a_centre_it_ends_with_its_reason_and_is_charged_for_what_it_ran(world: World) -> None:
    fed = world.federation
    row = await world.submit(kind="lab", walltime=3 * HOUR)
    await world.listens(await world.reaches(row.session.id, "starting"))
    started = (await fed.lookup.get(row.session.id)).copy.started_at
    assert started
    # the centre's accounting knows whole seconds only
    await world.until(lambda: (fed.clock() - started).total_seconds() >= 2)
    now, little = fed.clock(), credits("0.04")
    await fed.db.run(
        books.hold, "p", row.session.id, little - Amount(row.session.held), now, "as if its hour were nearly over"
    )
    await fed.db.run(session_rows.update, row.session.id, held=little.micros, leased_until=now + MINUTE)
    left = (await fed.db.run(books.balance, "p")).available
    await fed.db.run(books.hold, "p", "others", left, now, "all that is left")
    await fed.lease_keeper.once()
    fresh = await fed.lookup.get(row.session.id)
    assert fresh.session.state == "ready" and fresh.session.lease_end_reason, (
        "a broker that has just begun stops nothing"
    )
    fed.lease_keeper._since = now - HOUR
    await fed.lease_keeper.once()
    ended = await world.reaches(row.session.id, "charged")
    assert ended.session.end_reason.startswith("Stopped because credits ran out. Project p has 0.00 credits left, and ")
    assert ended.session.charged and (await fed.db.run(books.held, row.session.id)) == Amount(0)


def test_looks_come_often_enough() -> None:
    from scnet_hub.domain.pricing import leases as pure

    assert (
        timedelta(seconds=lease_keeper.EVERY) * 2 <= pure.STOPPED
        and timedelta(seconds=lease_keeper.EVERY) * 2 <= pure.LAG
    )
