"""Tests that a batch job or a Dask worker that does not start is also submitted elsewhere, and that its program runs
once, whatever starts, ends or is away meanwhile."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from scnet_hub.adapters.db.queries import entries as entry_rows
from scnet_hub.domain.jobs import JobState, JobStatus
from scnet_hub.domain.sessions import start_file
from scnet_hub.domain.sessions.records import SessionCopy
from scnet_hub.errors import Refused, Unreachable
from tests.builders.centre import Program, Run
from tests.federation.test_second_chances import QUICK
from tests.federation.world import World

TAKES = 2.0  # seconds of a program
LONG = 8.0  # several patiences
DONE = "The program ended by itself."


@dataclass
class FirstProcess:
    """What a job's own first process does there (`node/start.py`), and which programs ran: (session, centre)."""

    world: World
    ran: list[tuple[str, str]] = field(default_factory=list)
    answers: asyncio.Event = field(default_factory=asyncio.Event)  # whether the broker answers the jobs

    def __post_init__(self) -> None:
        self.answers.set()

    async def work(self, run: Run) -> int:
        path = PurePosixPath(run.argv[-1])
        start = json.loads(run.centre.files[str(path)])
        asks = str(path.with_name(start_file.ASK_FIRST)) in run.centre.files
        call = asyncio.create_task(self._call_home(start))
        if asks and not await call:
            return 1
        self.ran.append((start["session"], run.centre.settings.name))
        await asyncio.sleep(TAKES)
        call.cancel()
        return 0

    async def _call_home(self, start: dict[str, Any]) -> bool:
        await self.answers.wait()
        news = {"nonce": start["nonce"], "phase": "started", "host": "", "port": 0, "node": "n"}
        try:
            await self.world.federation.call_home.call_home(start["session"], news)
        except Refused:
            return False
        return True

    def runs_of(self, row: SessionCopy) -> list[str]:
        return [centre for session, centre in self.ran if session == row.session.id]


@pytest.fixture
async def quiet(short_path: Path, virtual_time: None) -> AsyncIterator[World]:
    """No session has called home yet."""
    world = World(short_path, QUICK + "job_patience = 1\n")
    await world.start()
    yield world
    await world.stop()


@pytest.fixture
def first(quiet: World) -> FirstProcess:
    process = FirstProcess(quiet)
    quiet.runs(Program(process.work))
    return process


@pytest.fixture
async def world(quiet: World, first: FirstProcess) -> World:
    """A job has called home from each centre."""
    rows = [await quiet.submit(centre=name, name=name) for name in quiet.centres]
    for row in rows:
        await quiet.reaches(row.session.id, "charged")
    return quiet


async def fill(world: World) -> dict[str, str]:
    return {name: await world.fill(name) for name in world.centres}


async def copies(world: World, row: SessionCopy, number: int) -> list[SessionCopy]:
    """That many copies, all in their queues."""

    async def there() -> list[SessionCopy] | None:
        rows = await world.copies(row.session.id)
        queued = all(one.copy.state == "queued" for one in rows)
        return rows if len(rows) == number and queued else None

    found: list[SessionCopy] = await world.until(there)
    return found


async def over(world: World, row: SessionCopy) -> SessionCopy:
    """The session once it is charged and none of its copies lives."""
    charged = await world.reaches(row.session.id, "charged")

    async def gone() -> bool:
        return not any(one.copy.live for one in await world.copies(row.session.id))

    await world.until(gone)
    return charged


@pytest.mark.parametrize("kind", ["batch", "dask"])
async def test_a_job_that_stalls_runs_once_where_there_is_room_and_is_charged_once(
    world: World, first: FirstProcess, kind: str
) -> None:
    jobs = await fill(world)
    row = await world.submit(kind=kind)
    await world.reaches(row.session.id, "queued")
    other = next(name for name in world.centres if name != row.copy.centre)
    await world.free(other, jobs[other])
    charged = await over(world, row)
    assert first.runs_of(row) == [other]
    assert (charged.copy.centre, charged.copy.cause, charged.session.end_reason) == (other, "stalled", DONE)
    log = await world.log(row.session.id)
    assert f"also asked {other.title()}" in log and f"Moved from {row.copy.centre} to {other}" in log
    entries = await world.federation.db.run(entry_rows.newest, "p")
    kinds = [entry.kind for _, entry in entries if entry.session == row.session.id]
    assert kinds.count("charge") == 1 and "hold" in kinds
    assert [one.copy.used for one in await world.copies(row.session.id)] == [0, charged.session.charged]
    assert set((await world.federation.db.run(entry_rows.trial_balance)).values()) == {0}
    assert (await world.federation.reports.balances("ada"))[0][0]["held"] == 0


async def test_of_two_copies_that_start_at_once_one_begins(world: World, first: FirstProcess) -> None:
    jobs = await fill(world)
    row = await world.submit()
    await copies(world, row, 2)
    for name, job in jobs.items():
        await world.free(name, job)
    charged = await over(world, row)
    assert first.runs_of(row) == [charged.copy.centre] and charged.session.end_reason == DONE


async def test_copies_that_start_while_the_broker_is_away_wait_and_one_begins(
    world: World, first: FirstProcess
) -> None:
    jobs = await fill(world)
    row = await world.submit()
    await copies(world, row, 2)
    first.answers.clear()
    for name, job in jobs.items():
        await world.free(name, job)
    await world.passes(LONG)
    assert first.runs_of(row) == []
    first.answers.set()
    charged = await over(world, row)
    assert first.runs_of(row) == [charged.copy.centre]
    lost = next(one.copy for one in await world.copies(row.session.id) if not one.leads)
    assert lost.started_at and lost.used  # it waited there for the answer, which its owner does not pay
    assert charged.session.charged == charged.copy.used
    entries = await world.federation.db.run(entry_rows.newest, "p")
    assert [entry.kind for _, entry in entries if entry.session == row.session.id].count("charge") == 1


async def test_a_job_that_is_alone_begins_without_the_broker(world: World, first: FirstProcess) -> None:
    first.answers.clear()
    row = await world.submit()
    await world.until(lambda: first.runs_of(row))
    assert first.runs_of(row) == [row.copy.centre]


async def test_a_job_that_starts_while_it_is_told_to_ask_gets_no_further_copy(
    world: World, first: FirstProcess
) -> None:
    jobs = await fill(world)
    row = await world.submit()
    here = row.copy.centre
    centre = world.federation.centres[here]
    put, told = centre.put, asyncio.Event()

    async def slow(path: str, data: bytes, **options: Any) -> None:
        if path.endswith(start_file.ASK_FIRST):
            first.answers.clear()  # its call home is late, too
            await world.free(here, jobs[here])
            await world.until(lambda: first.runs_of(row))
            told.set()
        await put(path, data, **options)

    centre.put = slow  # type: ignore[method-assign]
    await world.until(told.is_set)
    await world.passes(LONG)
    assert len(await world.copies(row.session.id)) == 1
    first.answers.set()
    await over(world, row)
    assert first.runs_of(row) == [here]


@pytest.mark.parametrize(
    "status",
    [
        {"node": "n1"},  # Slurm's CONFIGURING, Grid Engine's "t", OAR's "Launching"
        {"state": JobState.RUNNING},
        {"state": JobState.UNKNOWN},
        {"state": JobState.COMPLETED},
        {"name": "scnet-anothers"},
    ],
)
async def test_a_job_that_does_not_certainly_wait_after_it_was_told_gets_no_further_copy(
    world: World, first: FirstProcess, status: dict[str, Any]
) -> None:
    await fill(world)
    row = await world.submit()
    centre = world.federation.centres[row.copy.centre]
    statuses, asked = centre.statuses, asyncio.Event()

    async def other(ids: Sequence[str]) -> dict[str, JobStatus]:
        asked.set()
        return {job: replace(one, **status) for job, one in (await statuses(ids)).items()}

    centre.statuses = other  # type: ignore[method-assign]
    await world.until(asked.is_set)
    await world.passes(LONG)
    assert len(await world.copies(row.session.id)) == 1


async def test_a_copy_at_a_centre_that_does_not_answer_is_left_alone(world: World, first: FirstProcess) -> None:
    await fill(world)
    row = await world.submit()
    await world.reaches(row.session.id, "queued")
    world.faults[row.copy.centre].away = True
    await world.passes(LONG)
    assert len(await world.copies(row.session.id)) == 1


async def test_where_no_session_has_called_home_no_further_copy_goes(quiet: World, first: FirstProcess) -> None:
    await fill(quiet)
    row = await quiet.submit()
    await quiet.passes(LONG)
    assert len(await quiet.copies(row.session.id)) == 1


@pytest.mark.parametrize(
    ("options", "argv", "moves"),
    [
        ({}, ["python", "train.py"], True),
        ({"second_chance": "no"}, ["python", "train.py"], False),
        ({"centre": "north"}, ["python", "train.py"], False),
        ({"centre": "north", "second_chance": "yes"}, ["python", "train.py"], True),
        ({}, ["/home/ada/bin/sim"], False),
        ({"second_chance": "yes"}, ["/home/ada/bin/sim"], True),
    ],
)
async def test_who_gets_a_further_copy(
    world: World, options: dict[str, str], argv: list[str], moves: bool, first: FirstProcess
) -> None:
    await fill(world)
    row = await world.submit({"argv": argv, "env": {}}, **options)
    if moves:
        rows = await copies(world, row, 2)
        assert rows[0].copy.centre != rows[1].copy.centre
    else:
        await world.passes(LONG)
        assert len(await world.copies(row.session.id)) == 1


async def test_a_copy_whose_program_is_not_there_leaves_the_other_waiting(world: World, first: FirstProcess) -> None:
    jobs = await fill(world)
    row = await world.submit()
    one, two = await copies(world, row, 2)
    world.runs(Program(_not_found), two.copy.centre)
    await world.free(two.copy.centre, jobs[two.copy.centre])

    async def ended() -> bool:
        return not (await world.copies(row.session.id))[1].copy.live

    await world.until(ended)
    assert (await world.federation.lookup.get(row.session.id)).session.state == "queued"
    await world.free(one.copy.centre, jobs[one.copy.centre])
    await over(world, row)
    assert first.runs_of(row) == [one.copy.centre]


async def _not_found(run: Run) -> int:
    return 127


async def test_a_stop_reaches_both_copies_and_neither_begins(world: World, first: FirstProcess) -> None:
    await fill(world)
    row = await world.submit()
    await copies(world, row, 2)
    await world.federation.stopping.cancel(await world.federation.lookup.get(row.session.id))
    charged = await over(world, row)
    assert first.runs_of(row) == [] and charged.session.charged == 0


@pytest.mark.parametrize("seed", range(8))
async def test_in_any_order_of_starts_outages_and_restarts_a_program_runs_once(
    world: World, first: FirstProcess, seed: int
) -> None:
    dice = random.Random(seed)
    jobs = await fill(world)
    row = await world.submit()

    async def frees(name: str) -> None:
        await asyncio.sleep(dice.uniform(2.5, 5))
        await world.free(name, jobs[name])

    async def breaks(name: str) -> None:
        await asyncio.sleep(dice.uniform(0, 5))
        fault = world.faults[name]
        match dice.randrange(3):
            case 0:
                fault.lose_answer_to = "sbatch"
            case 1:
                fault.away = True
                await asyncio.sleep(dice.uniform(0.5, 4))
                fault.away = False
            case 2:
                fault.nothing_once = "squeue"

    async def restarts() -> None:
        await asyncio.sleep(dice.uniform(1, 6))
        first.answers.clear()
        await asyncio.sleep(dice.uniform(0, 3))
        await world.kill()
        await world.restart()
        first.answers.set()

    await asyncio.gather(*(frees(name) for name in jobs), *(breaks(name) for name in jobs), restarts())
    charged = await over(world, row)
    assert first.runs_of(row) == [charged.copy.centre]


async def test_a_submission_that_broke_is_no_reason_for_a_second_run(world: World, first: FirstProcess) -> None:
    """The further copy's answer is lost, its job is found by its name, and it still asks."""
    jobs = await fill(world)
    row = await world.submit()
    await world.reaches(row.session.id, "queued")
    other = next(name for name in world.centres if name != row.copy.centre)
    centre, real = world.federation.centres[other], world.federation.centres[other].submit

    async def breaks(job: Any, *, account: str = "") -> str:
        centre.submit = real  # type: ignore[method-assign]
        await real(job, account=account)
        raise Unreachable("the answer is lost")

    centre.submit = breaks  # type: ignore[method-assign]
    await copies(world, row, 2)
    for name, job in jobs.items():
        await world.free(name, job)
    await over(world, row)
    assert len(first.runs_of(row)) == 1
