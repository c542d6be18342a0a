"""Tests interleavings: a stop, a look, a refusal or an outage in the middle of another action, each of which once went
wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from scnet_hub.adapters.db.queries import sessions as session_rows
from scnet_hub.domain.jobs import JobState, JobStatus
from scnet_hub.domain.sessions import names
from scnet_hub.domain.sessions.records import SessionCopy
from scnet_hub.errors import BadOption, Rejected, Unreachable
from scnet_hub.services.sessions.copies import heir
from tests.builders.centre import exits
from tests.federation.test_second_chances import QUICK, stalled
from tests.federation.world import World


@pytest.fixture
async def quick(short_path: Path, virtual_time: None) -> AsyncIterator[World]:
    world = World(short_path, QUICK)
    await world.start()
    yield world
    await world.stop()


@pytest.fixture
def calm(world: World) -> World:
    return world


class Slow:
    """A centre that takes its time over a submission, and then refuses it."""

    def __init__(self, world: World, centre: str, words: str) -> None:
        self.entered, self.go, self.words = asyncio.Event(), asyncio.Event(), words
        world.federation.centres[centre].submit = self.submit  # type: ignore[method-assign]

    async def submit(self, job: Any, *, account: str = "") -> str:
        self.entered.set()
        await self.go.wait()
        raise Rejected(self.words)


async def ready(world: World, **options: object) -> SessionCopy:
    row = await world.submit(kind="lab", **options)
    await world.listens(await world.reaches(row.session.id, "starting"))
    return await world.federation.lookup.get(row.session.id)


async def gone(world: World, row: SessionCopy) -> None:
    async def is_gone() -> bool:
        return not next(
            one for one in await world.copies(row.session.id) if one.copy.number == row.copy.number
        ).copy.live

    await world.until(is_gone)


async def test_a_copy_that_lost_and_can_never_start_does_not_stop_the_session_that_runs(quick: World) -> None:
    first, second = await stalled(quick)
    await quick.listens(second)
    fed = quick.federation
    await fed.stopping.give_up((await quick.copies(first.session.id))[0].copy, "it can never start")
    assert (await fed.lookup.get(first.session.id)).session.state == "ready"


async def test_a_further_copy_that_can_never_start_is_stopped_alone(quick: World) -> None:
    first, second = await stalled(quick)
    await quick.federation.stopping.give_up(second.copy, "it can never start")
    await gone(quick, second)
    session = await quick.federation.lookup.get(first.session.id)
    assert session.session.live and not session.session.cancelled_at and session.copy.number == 1


async def test_a_copy_that_is_refused_after_another_was_ready_asks_for_no_third(calm: World) -> None:
    fed = calm.federation
    row = await calm.submit(kind="lab")
    first = await calm.reaches(row.session.id, "starting")
    slow = Slow(calm, first.copy.centre, "QOSMaxSubmitJobPerUserLimit")

    def add(tx: Any) -> None:
        decision, _ = fed.placing.decide(tx, names.request_of(first.session.request))
        fed.copies.add(
            tx,
            first.session,
            2,
            decision,
            next(one for one in decision.ranked if one.offer.centre == first.copy.centre),
            "stalled",
        )

    await fed.db.run(add)
    fed.launcher.begin(row.session.id, 2)
    await slow.entered.wait()
    await calm.listens(first)
    slow.go.set()
    await gone(calm, (await calm.copies(row.session.id))[1])
    assert [one.copy.number for one in await calm.copies(row.session.id)] == [1, 2]


async def test_a_stop_of_a_lab_stops_what_would_continue_it(calm: World) -> None:
    row = await ready(calm)
    after, _ = await calm.federation.continuation.next(row.session)
    await calm.reaches(after.session.id, "starting")
    await calm.federation.stopping.cancel(await calm.federation.lookup.get(row.session.id))
    await calm.reaches(row.session.id, "charged")
    await calm.reaches(after.session.id, "charged")
    assert await calm.federation.db.run(session_rows.live_one, "ada", "lab", "x") is None


async def test_a_stop_by_the_earlier_id_reaches_the_session_that_has_the_name_now(calm: World) -> None:
    row = await ready(calm)
    after, _ = await calm.federation.continuation.next(row.session)
    await calm.listens(await calm.reaches(after.session.id, "starting"), 5001)
    successor = await calm.federation.db.run(heir, await calm.federation.lookup.get(row.session.id))
    assert successor.session.id == after.session.id


async def test_a_copy_refused_after_its_session_was_set_aside_gives_its_hold_back(calm: World) -> None:
    fed = calm.federation
    slow = Slow(calm, "north", "no")
    row = await calm.submit(centre="north")
    await slow.entered.wait()
    await fed.stopping.cancel(row)
    calm.faults["north"].away = True
    fed.watchers["north"].wake()
    await calm.until(lambda: fed.states.centres["north"].failing_since)
    fresh = await calm.submit(centre="south")
    assert fresh.session.id != row.session.id
    calm.faults["north"].away = False
    slow.go.set()
    await calm.reaches(row.session.id, "charged")
    await fed.stopping.cancel(fresh)
    await calm.reaches(fresh.session.id, "charged")
    assert (await fed.reports.balances("ada"))[0][0]["held"] == 0


async def test_a_job_that_its_centre_lists_again_is_not_written_off(calm: World) -> None:
    row = await calm.submit(centre="north")
    await calm.reaches(row.session.id, "starting")
    fed = calm.federation
    long_ago = fed.clock() - timedelta(days=1)
    marks = {"unknown_since": long_ago, "unknown_why": "x", "forgotten_since": long_ago}
    await fed.db.run(session_rows.update_copy, row.session.id, 1, **marks)
    await fed.watchers["north"].tick()
    again = await fed.lookup.get(row.session.id)
    assert again.session.live and again.copy.forgotten_since is None


async def test_a_job_that_ran_and_was_forgotten_before_its_answer_came_is_not_run_again(world: World) -> None:
    world.runs(exits(0))
    fault, north = world.faults["north"], world.centres["north"]
    fault.lose_answer_to = "sbatch"
    row = await world.submit(centre="north")
    await world.until(lambda: not fault.lose_answer_to)
    fault.away = True
    # ended, and min_job_age is over
    await world.until(lambda: not north.ask("squeue", "-h", "-t", "all", "-o", "%j").strip())
    fault.away = False
    charged = await world.reaches(row.session.id, "charged")
    assert charged.copy.job_id and world.jobs(row.session.id) == 1


async def test_an_operator_can_write_off_what_ended_and_has_no_usage_record(calm: World) -> None:
    fed = calm.federation
    row = await calm.submit(centre="north")
    running = await calm.reaches(row.session.id, "starting")

    async def nothing(ids: Any) -> list[Any]:
        return []

    fed.centres["north"].usage = nothing  # type: ignore[method-assign]
    calm.centres["north"].ask("scancel", running.copy.job_id)
    await calm.reaches(row.session.id, "ended")
    await fed.stopping.write_off_all(row.session.id, "Written off.")
    assert (await fed.lookup.get(row.session.id)).session.charged == 0


async def test_an_operator_can_write_off_what_was_never_answered_and_its_job_is_stopped(calm: World) -> None:
    fed, fault = calm.federation, calm.faults["north"]
    fault.lose_answer_to = "sbatch"
    row = await calm.submit(centre="north")
    await calm.until(lambda: not fault.lose_answer_to)
    fault.away = True
    await fed.stopping.write_off_all(row.session.id, "Written off.")
    now = await fed.lookup.get(row.session.id)
    assert (now.session.live, now.session.charged) == (False, 0)
    fault.away = False
    fed.watchers["north"].wake()

    async def stopped() -> bool:
        text = calm.centres["north"].ask("squeue", "-h", "-t", "PENDING,RUNNING", "-o", "%j")
        return row.session.id not in text

    await calm.until(stopped)


async def test_a_job_that_its_dialect_has_no_words_for_is_a_refusal(calm: World) -> None:
    fed = calm.federation

    async def refuses(job: Any, *, account: str = "") -> str:
        raise BadOption("gpus: this Grid Engine has no consumable for GPUs.")

    for centre in fed.centres.values():
        centre.submit = refuses  # type: ignore[method-assign]
    row = await calm.submit()
    ended = await calm.reaches(row.session.id, "charged")
    assert "no consumable" in ended.session.end_reason


async def test_a_launch_that_breaks_goes_on_with_the_next_round(calm: World) -> None:
    fed = calm.federation
    real = fed.centres["north"].submit
    broke = asyncio.Event()

    async def breaks(job: Any, *, account: str = "") -> str:
        fed.centres["north"].submit = real  # type: ignore[method-assign]
        broke.set()
        raise ZeroDivisionError

    fed.centres["north"].submit = breaks  # type: ignore[method-assign]
    row = await calm.submit(centre="north")
    await broke.wait()
    await calm.reaches(row.session.id, "starting")
    assert calm.jobs(row.session.id) == 1


async def test_a_stop_while_a_job_is_looked_up_submits_nothing(calm: World) -> None:
    fed, centre = calm.federation, calm.federation.centres["north"]
    sent: list[str] = []
    entered, go = asyncio.Event(), asyncio.Event()

    async def never_arrives(job: Any, *, account: str = "") -> str:
        sent.append(job.name)
        raise Unreachable("never arrived")

    async def slow(name: str, *, account: str = "") -> str | None:
        entered.set()
        await go.wait()
        return None

    centre.submit, centre.submitted = never_arrives, slow  # type: ignore[method-assign]
    row = await calm.submit(centre="north")
    await entered.wait()
    await fed.stopping.cancel(row)
    go.set()
    await calm.reaches(row.session.id, "charged")
    assert len(sent) == 1


async def test_what_has_called_home_is_never_submitted_again(calm: World) -> None:
    fed, centre = calm.federation, calm.federation.centres["north"]
    real, sent = centre.submit, asyncio.Event()

    async def answer_lost(job: Any, *, account: str = "") -> str:
        await real(job, account=account)
        sent.set()
        raise Unreachable("the answer was lost")

    async def nothing(name: str, *, account: str = "") -> str | None:
        return None

    centre.submit, centre.submitted = answer_lost, nothing  # type: ignore[method-assign]
    row = await calm.submit(kind="lab", centre="north")
    await sent.wait()
    await calm.listens(row)

    async def asked_in_vain() -> bool:
        return "has called home from there" in await calm.log(row.session.id)

    await calm.until(asked_in_vain)
    assert calm.jobs(row.session.id) == 1 and (await fed.lookup.get(row.session.id)).session.state == "ready"


async def test_jobs_that_take_their_time_to_go_are_not_told_again_at_every_look(calm: World) -> None:
    fed = calm.federation
    row = await calm.submit(centre="north")
    await calm.reaches(row.session.id, "starting")
    told = []

    async def slow_to_die(ids: Any, *, account: str = "") -> None:
        told.append(ids)

    fed.centres["north"].cancel = slow_to_die  # type: ignore[method-assign]
    await fed.stopping.cancel(await fed.lookup.get(row.session.id))
    for _ in range(5):
        await fed.watchers["north"].tick()
    await calm.until(lambda: told)
    assert len(told) <= 2


async def test_an_orphan_whose_stop_hangs_is_stopped_by_one_task(calm: World) -> None:
    fed = calm.federation
    row = await calm.submit(centre="north")
    await fed.stopping.cancel(await calm.reaches(row.session.id, "starting"))
    await calm.reaches(row.session.id, "charged")
    under_way = []

    async def hangs(ids: Any, *, account: str = "") -> None:
        under_way.append(ids)
        await asyncio.Event().wait()

    fed.centres["north"].cancel = hangs  # type: ignore[method-assign]
    status = JobStatus(state=JobState.RUNNING, seen_at=fed.clock(), name=names.job_name(row.copy))
    for _ in range(4):
        await fed.watchers["north"].orphans.compare({"99": status}, [])
    await calm.until(lambda: under_way)
    assert len(under_way) == 1
