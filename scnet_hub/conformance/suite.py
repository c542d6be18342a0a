"""The behaviour that every member centre must show. Fixtures: `centre`, `deaf` (the same centre, unreachable),
`account` (the account of the jobs, "" if there is only one), `folder` (writable there), `shortest` (the shortest
walltime that the centre enforces).

Each test names the behaviour that the hub relies on. Tests wait for the centre's answers, up to a deadline; nothing
here knows which scheduler answers.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from ..adapters.centre import Centre
from ..domain.commands import Command, Completed
from ..domain.jobs import JobSpec, JobState, JobStatus, UsageRecord
from ..errors import Rejected, Unreachable

pytestmark = pytest.mark.asyncio(loop_scope="module")  # a centre's connections live in one loop
MIB = 2**20
PATIENCE = 60.0  # seconds that a small job may wait in the queue
LIMIT_PATIENCE = 150.0  # Slurm looks at limits every 30 to 60 s


def job(centre: Centre, folder: str, *argv: str, **changes: Any) -> JobSpec:
    name = f"scnet-check-{secrets.token_hex(4)}"
    facts = {
        "partition": centre.spec.partition[0].name,
        "memory": 100 * MIB,
        "walltime": timedelta(minutes=10),
        "output": f"{folder}/{name}.log",
        "directory": "/tmp",
    }
    return JobSpec(name=name, argv=argv, **{**facts, **changes})


def now() -> float:
    return asyncio.get_running_loop().time()


async def wait(centre: Centre, job_id: str, true: Callable[[JobStatus], bool], seconds: float = PATIENCE) -> JobStatus:
    deadline = now() + seconds
    while True:
        status = (await centre.statuses([job_id]))[job_id]
        if true(status):
            return status
        assert now() < deadline, f"job {job_id} is still {status.state.value} ({status.reason}) after {seconds:g} s"
        await asyncio.sleep(0.1)


def ended(status: JobStatus) -> bool:
    return status.state.ended


def runs(status: JobStatus) -> bool:
    return status.state is JobState.RUNNING


async def record_of(centre: Centre, job_id: str) -> UsageRecord:
    """Returns the job's accounting record, which may arrive a little after the end."""
    deadline = now() + PATIENCE
    while True:
        for record in await centre.usage([job_id]):
            if record.state.ended:
                return record
        assert now() < deadline, f"accounting has no end for job {job_id}"
        await asyncio.sleep(0.2)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def overdue(centre: Centre, folder: str, shortest: timedelta, account: str) -> AsyncIterator[str]:
    """Yields a job that will exceed its limit, submitted first so that its minute passes during the other tests."""
    await centre.put(f"{folder}/.here", b"", account=account)
    job_id = await centre.submit(job(centre, folder, "/bin/sleep", "600", walltime=shortest), account=account)
    yield job_id
    await centre.cancel([job_id], account=account)
    await centre.transport.close()


@pytest.fixture(autouse=True)
def prepared(overdue: str) -> None:
    """Makes sure that the folder exists and the overdue job has been submitted."""


async def test_a_job_runs_to_its_end_and_is_accounted_for(centre: Centre, folder: str, account: str) -> None:
    spec = job(centre, folder, "/bin/sleep", "2", cores=2)
    before = centre.clock().replace(microsecond=0)
    job_id = await centre.submit(spec, account=account)
    running = await wait(centre, job_id, runs)
    assert running.node, "a running job has a node"
    assert (await wait(centre, job_id, ended)).state is JobState.COMPLETED
    record = await record_of(centre, job_id)
    assert (record.job_id, record.name, record.state, record.partition) == (
        job_id,
        spec.name,
        JobState.COMPLETED,
        spec.partition,
    )
    assert record.cores == 2 and record.gpus == 0
    assert timedelta(seconds=1) <= record.elapsed <= timedelta(seconds=20)
    assert record.submitted_at and record.started_at and record.ended_at
    assert before <= record.submitted_at <= record.started_at <= record.ended_at
    assert abs(record.ended_at - record.started_at - record.elapsed) <= timedelta(seconds=2)
    assert record.exit_code == "0:0"


async def test_a_span_of_time_tells_of_the_jobs_that_ended_in_it_and_of_no_other(
    centre: Centre, folder: str, account: str
) -> None:
    """The record equals the record that is returned for the job's id."""
    began = centre.clock() - timedelta(minutes=5)  # by the hub's clock, which may differ from a centre's
    job_id = await centre.submit(job(centre, folder, "/bin/true"), account=account)
    await wait(centre, job_id, ended)
    record = await record_of(centre, job_id)
    found = await centre.usage_between(began, centre.clock() + timedelta(minutes=5))
    assert [one for one in found if one.job_id == job_id and one.state.ended] == [record]
    assert not [one for one in await centre.usage_between(began - timedelta(days=2), began) if one.job_id == job_id]


async def test_a_running_job_has_no_record_with_an_end(centre: Centre, folder: str, account: str) -> None:
    """Some accounting systems list a job while it runs, others only afterwards: none may say that it has ended."""
    job_id = await centre.submit(job(centre, folder, "/bin/sleep", "60"), account=account)
    await wait(centre, job_id, runs)
    for record in await centre.usage([job_id]):
        assert not record.state.ended and record.ended_at is None and record.cores in (0, 1)
    await centre.cancel([job_id], account=account)


async def test_a_failed_job_is_failed_and_its_output_can_be_read(centre: Centre, folder: str, account: str) -> None:
    spec = job(centre, folder, "/bin/sh", "-c", "echo to out; echo to err >&2; exit 7")
    job_id = await centre.submit(spec, account=account)
    assert (await wait(centre, job_id, ended)).state is JobState.FAILED
    assert (await record_of(centre, job_id)).exit_code == "7:0"
    text = await centre.tail(spec.output, account=account)
    assert "to out" in text and "to err" in text


async def test_one_question_answers_for_every_id_even_one_that_never_was(
    centre: Centre, folder: str, account: str
) -> None:
    ids = [await centre.submit(job(centre, folder, "/bin/sleep", "0.1"), account=account) for _ in range(3)]
    asked = [*ids, "999999999"]
    known = await centre.statuses(asked)
    assert list(known) == asked
    assert known["999999999"].state is JobState.UNKNOWN, "unknown is not ended"
    for job_id in ids:
        await wait(centre, job_id, ended)


async def test_a_job_that_left_the_queue_is_known_from_accounting(centre: Centre, folder: str, account: str) -> None:
    job_id = await centre.submit(job(centre, folder, "/bin/true"), account=account)
    await wait(centre, job_id, ended)
    await record_of(centre, job_id)
    found = (await centre.statuses([job_id, "999999999"]))[job_id]
    assert found.state is JobState.COMPLETED


async def test_a_job_is_found_by_its_name(centre: Centre, folder: str, account: str) -> None:
    spec = job(centre, folder, "/bin/sleep", "60")
    job_id = await centre.submit(spec, account=account)
    assert await centre.find(spec.name, account=account) == job_id
    assert await centre.find(f"{spec.name}-other", account=account) is None
    await centre.cancel([job_id], account=account)


class Deafened:
    """A transport that runs a command to its end and loses the answer to this command."""

    def __init__(self, inner: Any, lost: Command) -> None:
        self.inner, self.lost = inner, lost

    async def run(self, command: Command, **how: Any) -> Completed:
        done: Completed = await self.inner.run(command, **how)
        if command == self.lost:
            raise Unreachable("the answer was lost on its way")
        return done


async def test_a_submission_whose_answer_was_lost_is_found_and_not_doubled(
    centre: Centre, folder: str, account: str
) -> None:
    spec = job(centre, folder, "/bin/sleep", "60")
    await centre.load()  # so that the dialect knows this installation
    lossy: Any = Deafened(centre.transport, centre.dialect.submit(spec))
    with pytest.raises(Unreachable):
        await Centre(centre.spec, centre.dialect, lossy).submit(spec, account=account)
    ghost = await centre.find(spec.name, account=account)
    assert ghost, "a retry would have made a second copy"
    await wait(centre, ghost, runs)
    await centre.cancel([ghost], account=account)
    await wait(centre, ghost, ended)
    assert await centre.find(spec.name, account=account) in (ghost, None)


async def test_cancelling_can_be_repeated_and_strangers_do_no_harm(centre: Centre, folder: str, account: str) -> None:
    job_id = await centre.submit(job(centre, folder, "/bin/sleep", "600"), account=account)
    await wait(centre, job_id, runs)
    await centre.cancel([job_id, "999999999"], account=account)
    await centre.cancel([job_id], account=account)
    assert (await wait(centre, job_id, ended)).state is JobState.CANCELLED
    await centre.cancel([job_id], account=account)
    assert (await record_of(centre, job_id)).state is JobState.CANCELLED


async def test_a_program_that_ignores_the_wish_to_end_is_killed(centre: Centre, folder: str, account: str) -> None:
    job_id = await centre.submit(
        job(centre, folder, "/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done"), account=account
    )
    await wait(centre, job_id, runs)
    await centre.cancel([job_id], account=account)
    await wait(centre, job_id, ended)


async def test_the_arguments_arrive_as_they_were_given(centre: Centre, folder: str, account: str) -> None:
    words = ("$HOME", "`id`", "a  b", "'", '"', "*", "#x", "\\", "ünï", "--flag=$(id)")
    spec = job(centre, folder, "/usr/bin/printf", "%s\\n", *words)
    job_id = await centre.submit(spec, account=account)
    await wait(centre, job_id, ended)
    assert (await centre.tail(spec.output, account=account)).splitlines() == list(words)


async def test_a_private_file_is_put_for_a_job_to_read(centre: Centre, folder: str, account: str) -> None:
    path = f"{folder}/private/secret"
    await centre.put(path, b"s3cret\n", account=account)
    await centre.put(path, b"s3cret again\n", account=account)
    spec = job(centre, folder, "/bin/sh", "-c", f"cat {path}; stat -c %a {path} {folder}/private")
    job_id = await centre.submit(spec, account=account)
    await wait(centre, job_id, ended)
    assert (await centre.tail(spec.output, account=account)).split("\n") == ["s3cret again", "600", "700", ""]
    assert await centre.tail(f"{folder}/no-such-file", account=account) == ""


async def test_the_load_names_what_the_page_offers(centre: Centre, folder: str, account: str) -> None:
    taken = await centre.load()
    for offered in centre.spec.partition:
        live = taken.partitions[offered.name]
        assert live.nodes, f"partition {offered.name} has no nodes"
        assert max(node.cores for node in live.nodes) >= offered.cores
        assert max(node.gpus for node in live.nodes) >= offered.gpus
        largest = max(node.memory for node in live.nodes)
        assert not largest or offered.memory <= largest  # some schedulers know nothing of memory
        assert live.max_walltime is None or live.max_walltime >= offered.max_walltime


async def test_a_running_job_shows_in_the_load(centre: Centre, folder: str, account: str) -> None:
    job_id = await centre.submit(job(centre, folder, "/bin/sleep", "60"), account=account)
    node = (await wait(centre, job_id, runs)).node
    part = (await centre.load()).partitions[centre.spec.partition[0].name]
    mine = next(one for one in part.nodes if one.name == node)
    assert mine.cores_used >= 1 and part.running_jobs >= 1
    await centre.cancel([job_id], account=account)


async def test_gpus_are_given_and_accounted_for(centre: Centre, folder: str, account: str) -> None:
    offered = next((part for part in centre.spec.partition if part.gpus), None)
    if offered is None:
        assert all(not node.gpus for part in (await centre.load()).partitions.values() for node in part.nodes), (
            "GPUs that the page hides"
        )
        return
    argv = ("/bin/sh", "-c", "echo $CUDA_VISIBLE_DEVICES")
    spec = job(centre, folder, *argv, partition=offered.name, gpus=1, gpu_model=offered.gpu_model)
    job_id = await centre.submit(spec, account=account)
    assert (await wait(centre, job_id, ended)).state is JobState.COMPLETED
    which = (await centre.tail(spec.output, account=account)).strip()
    assert which.isdecimal() or (not which and centre.spec.dialect != "slurm"), (
        "Slurm names the GPU; elsewhere a prolog of the site may"
    )
    assert (await record_of(centre, job_id)).gpus == 1


async def test_a_refusal_has_the_schedulers_own_words(centre: Centre, folder: str, account: str) -> None:
    with pytest.raises(Rejected, match=r"(?i)partition"):
        await centre.submit(job(centre, folder, "/bin/true", partition="no-such-partition"), account=account)
    assert any(
        [
            await _refuses(centre, job(centre, folder, "/bin/true", **size), account)
            for size in ({"memory": 2**55}, {"cores": 99_999})
        ]
    )


async def _refuses(centre: Centre, impossible: JobSpec, account: str) -> bool:
    """Returns whether the centre refuses the job at once. Centres differ in the jobs that they refuse at once and the
    jobs that they let wait for ever."""
    try:
        await centre.cancel([await centre.submit(impossible, account=account)], account=account)
    except Rejected:
        return True
    return False


async def test_a_centre_that_cannot_be_asked_is_unreachable(deaf: Centre, folder: str) -> None:
    for question in (deaf.load(), deaf.statuses(["1"]), deaf.find("x"), deaf.cancel(["1"]), deaf.usage(["1"])):
        with pytest.raises(Unreachable):
            await question
    with pytest.raises(Unreachable):
        await deaf.submit(job(deaf, folder, "/bin/true"))


async def test_a_job_over_its_limit_is_ended_by_the_centre(centre: Centre, overdue: str) -> None:
    assert (await wait(centre, overdue, ended, LIMIT_PATIENCE)).state is JobState.FAILED
    record = await record_of(centre, overdue)
    assert record.state is JobState.FAILED and record.elapsed < timedelta(seconds=LIMIT_PATIENCE)
