"""`Centre` with a scripted transport: which questions it asks, and what it makes of the answers."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scnet_hub.centres import BATCH, Centre
from scnet_hub.commands import Command, Completed
from scnet_hub.dialects.slurm import Slurm
from scnet_hub.errors import Unreachable
from scnet_hub.jobs import JobSpec, JobState

AT = datetime(2026, 11, 23, 1, 40, tzinfo=UTC)


class Scripted:
    """Answers by program name; an exception as an answer is raised."""

    def __init__(self, **answers: Any) -> None:
        self.answers, self.asked = answers, [("", "")][:0]

    async def run(self, command: Command, *, timeout: float = 30) -> Completed:
        program = next(word for word in command.argv if word in ("sbatch", "squeue", "scancel", "sinfo", "sacct"))
        self.asked.append((program, " ".join(command.argv)))
        answer = self.answers.get(program, "")
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            answer = answer(command)
        return Completed(command, 0, answer, "")

    async def put(self, path: str, data: bytes, *, mode: int = 0o600) -> None: ...
    async def tail(self, path: str, *, size: int = 4000) -> str:
        return "end"

    async def forward(self, host: str, port: int) -> tuple[str, int]:
        return host, port

    async def close(self) -> None: ...


def centre(way: Scripted) -> Centre:
    return Centre(None, Slurm(), way, clock=lambda: AT)  # type: ignore[arg-type]


def usage_row(job: str, state: str, exit_code: str = "0:0") -> str:
    return f"{job}|{state}|1|cpu=1|1G|1795397883|1795397883|1795397943|60|00:01.000|n7|{exit_code}|main|s-{job}\n"


def programs(way: Scripted) -> Sequence[str]:
    return [program for program, _ in way.asked]


async def test_listed_jobs_need_one_question_and_no_accounting() -> None:
    way = Scripted(squeue="J|1|RUNNING|n1|N/A|None|.\nJ|2|PENDING|n/a|N/A|Priority|.\n")
    found = await centre(way).statuses(["1", "2"])
    assert [status.state for status in found.values()] == [JobState.RUNNING, JobState.QUEUED]
    assert programs(way) == ["squeue"]


async def test_absent_jobs_are_asked_of_accounting_and_then_unknown() -> None:
    rows = usage_row("2", "COMPLETED") + usage_row("3", "FAILED", "7:0") + usage_row("4", "RUNNING")
    way = Scripted(squeue="J|1|RUNNING|n1|N/A|None|.\n", sacct=rows)
    found = await centre(way).statuses(["1", "2", "3", "4", "5"])
    assert [status.state.value for status in found.values()] == ["running", "completed", "failed", "unknown", "unknown"]
    assert found["3"].reason == "exit code 7:0" and found["2"].reason == "" and found["2"].node == "n7"
    assert programs(way) == ["squeue", "sacct"] and "--jobs=2,3,4,5" in way.asked[1][1]


async def test_an_unreachable_queue_is_raised_never_read_as_ended() -> None:
    with pytest.raises(Unreachable):
        await centre(Scripted(squeue=Unreachable("down"))).statuses(["1"])
    with pytest.raises(Unreachable):
        await centre(Scripted(squeue="", sacct=Unreachable("down"))).statuses(["1"])


async def test_nothing_asked_is_nothing_answered_and_no_question() -> None:
    way = Scripted()
    assert await centre(way).statuses([]) == {}
    await centre(way).cancel([])
    assert await centre(way).usage([]) == []
    assert way.asked == []


async def test_very_many_jobs_are_asked_in_a_few_questions() -> None:
    ids = [str(number) for number in range(1, 2 * BATCH + 2)]
    way = Scripted(squeue=lambda command: "".join(f"J|{job}|RUNNING|n1|N/A|None|.\n" for job in command.argv[-2][7:].split(",")))
    assert len(await centre(way).statuses(ids)) == len(ids)
    assert len(way.asked) == 3


async def test_a_waiting_jobs_place_comes_from_the_last_look_at_the_load() -> None:
    def squeue(command: Command) -> str:
        if any(word.startswith("--jobs") for word in command.argv):
            return "J|8|PENDING|n/a|N/A|Priority|.\nJ|9|RUNNING|n1|N/A|None|.\n"
        return "J|7|PENDING|main|1|20|Resources|.\nJ|8|PENDING|main|1|10|Priority|.\n"

    way = Scripted(squeue=squeue, sinfo="n1|main|0/4/0/4|8000|0|(null)|gpu:0|idle|1:00:00|up|\n")
    asked = centre(way)
    snapshot = await asked.load()
    assert snapshot.taken_at == AT and snapshot.partitions["main"].queued_jobs == 2
    found = await asked.statuses(["8", "9"])
    assert (found["8"].place, found["9"].place) == (2, 0)


async def test_records_of_strangers_are_left_out() -> None:
    way = Scripted(sacct=usage_row("1", "COMPLETED") + usage_row("2", "COMPLETED"))
    records = await centre(way).usage(["2"])
    assert [record.job_id for record in records] == ["2"]
    assert records[0].elapsed == timedelta(seconds=60)


async def test_submitting_gives_the_job_id() -> None:
    way = Scripted(sbatch="42\n")
    assert await centre(way).submit(JobSpec(name="s-1", partition="main", argv=("true",))) == "42"
