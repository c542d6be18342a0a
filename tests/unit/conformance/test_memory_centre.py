"""Runs the conformance suite on the centre in memory, so that results of tests on it hold at a real centre."""

import asyncio
import secrets
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

pytest.register_assert_rewrite("scnet_hub.conformance.suite")

from scnet_hub.adapters.centre import Centre  # noqa: E402
from scnet_hub.conformance.suite import *  # noqa: E402, F403
from scnet_hub.conformance.suite import job, wait  # noqa: E402
from scnet_hub.demo.embedded import Settings  # noqa: E402
from scnet_hub.domain.jobs import JobState  # noqa: E402
from scnet_hub.domain.standard.centre import parse_centre  # noqa: E402
from tests.builders.centre import MemoryCentre, Program, Run, exits, seam  # noqa: E402
from tests.builders.clock import Clock  # noqa: E402

# These are about processes and the files that they see, of which there are none here.
del test_a_program_that_ignores_the_wish_to_end_is_killed  # noqa: F821
del test_a_private_file_is_put_for_a_job_to_read  # noqa: F821

SIZE: dict[str, Any] = {"name": "alpha", "nodes": 2, "cores": 4, "memory": 8 * 2**30, "max_walltime": 4 * 3600}


@pytest.fixture(scope="module")
def virtual_time() -> None:
    """All tests of a module run on one loop."""


async def printf(run: Run) -> int:
    run.say("".join(f"{word}\n" for word in run.argv[2:]))
    return 0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def memory(virtual_time: None) -> MemoryCentre:
    """Forgets ended jobs at once, so that the suite sees accounting answer for them."""
    centre = MemoryCentre(Settings(**SIZE, min_job_age=0), Clock())
    centre.programs |= {"printf": Program(printf), "sh": exits(7, "to out\nto err")}
    return centre


@pytest.fixture(scope="module")
def centre(memory: MemoryCentre) -> Centre:
    return seam(memory, parse_centre(memory.page(), source="alpha"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deaf(virtual_time: None, centre: Centre) -> Centre:
    """The same centre, while it can't be reached."""
    other = MemoryCentre(Settings(**SIZE), centre.clock)
    other.away = True
    return seam(other, centre.spec)


@pytest.fixture(scope="module")
def account() -> str:
    return ""


@pytest.fixture(scope="module")
def folder() -> str:
    return f"/home/alpha/{secrets.token_hex(4)}"


@pytest.fixture(scope="module")
def shortest() -> timedelta:
    return timedelta(seconds=1)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_job_that_must_wait_starts_when_there_is_room_in_its_order(centre: Centre, folder: str) -> None:
    ids = [await centre.submit(job(centre, folder, "/bin/sleep", "60", cores=4)) for _ in range(4)]
    await asyncio.sleep(1)
    found = await centre.statuses(ids)
    assert [found[one].state for one in ids] == [JobState.RUNNING] * 2 + [JobState.QUEUED] * 2
    assert [found[one].place for one in ids] == [0, 0, 1, 2]
    await centre.cancel(ids[:1])
    assert (await wait(centre, ids[2], lambda status: status.state is JobState.RUNNING)).node
    assert (await centre.statuses(ids))[ids[3]].place == 1
    await centre.cancel(ids)
