"""Tests how a centre's jobs and the broker's sessions are reconciled: orphans, sessions without a job, centres that
lost their state."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from scnet_hub.adapters.db.queries import entries as entry_rows
from scnet_hub.domain.centres.orphan import STOPPED, STRANGE
from scnet_hub.domain.jobs import JobState, JobStatus
from scnet_hub.domain.sessions import names
from scnet_hub.domain.sessions.records import SessionCopy
from tests.federation.world import World


@pytest.fixture
async def world(short_path: Path, virtual_time: None) -> AsyncIterator[World]:
    world = World(short_path, forget_after=2)
    await world.start()
    yield world
    await world.stop()


def by_hand(world: World, centre: str, name: str) -> str:
    """A job that bears a session's name and that no broker submitted."""
    return str(world.centres[centre].ask("sbatch", "--parsable", f"--job-name={name}", "--wrap=sleep 300")).strip()


def queue(world: World, centre: str) -> dict[str, str]:
    """Live jobs there: id → name."""
    text = world.centres[centre].ask("squeue", "-h", "-t", "PENDING,RUNNING", "-o", "%A %j")
    return dict(line.split(" ", 1) for line in text.splitlines())


async def test_a_job_of_a_session_that_is_over_is_stopped(world: World) -> None:
    row = await world.submit(centre="north")
    await world.federation.stopping.cancel(await world.reaches(row.session.id, "starting"))
    await world.reaches(row.session.id, "charged")
    job = by_hand(world, "north", names.job_name(row.copy))
    orphans = world.federation.watchers["north"].orphans
    (seen,) = await world.until(lambda: orphans.found)
    assert (seen.job_id, seen.session, seen.rule) == (job, row.session.id, STOPPED)

    async def gone() -> bool:
        return job not in queue(world, "north")

    await world.until(gone)
    await world.until(lambda: not orphans.found)


async def test_a_second_job_of_a_live_session_is_stopped_and_the_session_goes_on(world: World) -> None:
    row = await world.submit(centre="north")
    await world.reaches(row.session.id, "starting")
    job = by_hand(world, "north", names.job_name(row.copy))

    async def gone() -> bool:
        return job not in queue(world, "north")

    await world.until(gone)
    same = await world.federation.lookup.get(row.session.id)
    assert same.session.live and same.copy.job_id in queue(world, "north")


async def test_a_strangers_job_of_such_a_name_is_shown_and_left_alone(world: World) -> None:
    job = by_hand(world, "north", "scnet-aaaabbbbcccc")
    orphans = world.federation.watchers["north"].orphans
    (seen,) = await world.until(lambda: orphans.found)
    assert (seen.session, seen.rule) == ("", STRANGE)
    document = await world.federation.reports.orphans(orphans.found)
    assert document["jobs"][0]["job_id"] == job and job in queue(world, "north")


async def test_a_job_of_ours_at_another_centre_than_it_was_asked_for_is_shown(world: World) -> None:
    row = await world.submit(centre="north")
    await world.reaches(row.session.id, "starting")
    by_hand(world, "south", names.job_name(row.copy))
    (seen,) = await world.until(lambda: world.federation.watchers["south"].orphans.found)
    assert seen.rule == STRANGE


async def test_a_centre_that_gives_a_job_id_out_again_does_not_end_our_session_by_anothers_job(world: World) -> None:
    row = await world.submit(centre="north")
    running = await world.reaches(row.session.id, "starting")
    reborn(world, "north", others=int(running.copy.job_id))
    assert queue(world, "north")[running.copy.job_id].startswith("somebody")
    world.centres["north"].ask("scancel", running.copy.job_id)
    marked = await world.until(lambda: _forgotten(world, row.session.id))
    assert marked.session.live and marked.copy.unknown_since
    listed = (await world.federation.reports.orphans([]))["sessions"]
    assert [one["id"] for one in listed] == [row.session.id] and listed[0]["settles_at"]
    ended = await world.reaches(row.session.id, "charged")
    assert ended.session.charged == 0 and "knows nothing of this job" in ended.session.end_reason
    assert (await world.federation.reports.balances("ada"))[0][0]["available"] == 100
    assert set((await world.federation.db.run(entry_rows.trial_balance)).values()) == {0}


def reborn(world: World, centre: str, *, others: int) -> None:
    """The centre with nothing of what it knew, and so many jobs of somebody else's, which have our ids."""
    world.centres[centre].forget()
    for number in range(others):
        by_hand(world, centre, f"somebody{number}")


async def _forgotten(world: World, session_id: str) -> SessionCopy | None:
    row = await world.federation.lookup.get(session_id)
    return row if row.copy.forgotten_since else None


async def test_what_ended_and_never_gets_a_usage_record_is_settled_unpaid(world: World) -> None:
    row = await world.submit(centre="north")
    running = await world.reaches(row.session.id, "starting")
    world.faults["north"].knows_nothing = {"sacct"}
    await world.federation.stopping.cancel(running)
    ended = await world.reaches(row.session.id, "ended")
    assert ended.session.charged is None and (await world.federation.reports.balances("ada"))[0][0]["held"] > 0
    charged = await world.reaches(row.session.id, "charged")
    assert (
        charged.session.charged == 0
        and "The accounting of North has no record of this job: not charged." in await world.log(row.session.id)
    )
    balance = (await world.federation.reports.balances("ada"))[0][0]
    assert (balance["available"], balance["held"]) == (100, 0)
    assert set((await world.federation.db.run(entry_rows.trial_balance)).values()) == {0}


async def test_a_job_that_is_over_and_that_accounting_calls_running_for_ever_is_settled_unpaid(world: World) -> None:
    row = await world.submit(centre="north")
    await world.reaches(row.session.id, "starting")
    world.faults["north"].says = {"CANCELLED": "RUNNING"}
    world.federation.watchers["north"].wake()
    await world.federation.endings.take_status(
        await world.federation.lookup.get(row.session.id),
        JobStatus(state=JobState.CANCELLED, seen_at=world.federation.clock()),
        "",
    )
    assert (await world.reaches(row.session.id, "charged")).session.charged == 0
    assert "still reports this ended job as running" in await world.log(row.session.id)


async def test_a_record_may_be_as_late_as_the_accounting_was_away(world: World) -> None:
    row = await world.submit(centre="north")
    running = await world.reaches(row.session.id, "starting")
    north = world.faults["north"]
    north.knows_nothing = {"sacct"}
    await world.federation.stopping.cancel(running)
    await world.reaches(row.session.id, "ended")
    await world.until(lambda: "sacct" in north.asked)
    north.broken, north.knows_nothing, north.nothing_once = {"sacct"}, set(), "sacct"
    await world.passes(2.5)  # longer than the patience
    north.broken = set()
    await world.reaches(row.session.id, "charged")
    assert "has no record" not in await world.log(row.session.id)


async def test_an_operator_may_write_a_session_off_and_what_turns_up_again_is_stopped(world: World) -> None:
    row = await world.submit(centre="north")
    running = await world.reaches(row.session.id, "starting")
    world.faults["north"].away = True
    await world.federation.stopping.write_off_all(running.session.id, "Written off.")
    assert (await world.federation.lookup.get(row.session.id)).session.charged == 0
    world.faults["north"].away = False

    async def gone() -> bool:
        return running.copy.job_id not in queue(world, "north")

    await world.until(gone)


async def test_a_stop_whose_centre_is_away_does_not_keep_the_next_session_waiting(world: World) -> None:
    row = await world.submit(centre="north")
    running = await world.reaches(row.session.id, "starting")
    world.faults["north"].away = True
    await world.until(lambda: _marked(world, row.session.id))
    await world.federation.stopping.cancel(await world.federation.lookup.get(row.session.id))
    fresh = await world.submit(centre="south")
    assert fresh.session.id != row.session.id
    before = await world.federation.lookup.get(row.session.id)
    assert (before.session.live, before.copy.live, before.session.charged) == (False, True, None)
    await world.reaches(fresh.session.id, "starting")
    world.faults["north"].away = False
    charged = await world.reaches(row.session.id, "charged")
    assert charged.copy.used is not None and running.copy.job_id not in queue(world, "north")
    assert (await world.federation.lookup.get(fresh.session.id)).session.live


async def _marked(world: World, session_id: str) -> bool:
    return (await world.federation.lookup.get(session_id)).copy.unknown_since is not None
