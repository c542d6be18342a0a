"""Tests `Centre` with a scripted transport: the queries that it sends, and how it interprets the answers."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scnet_hub.adapters.centre import BATCH, Centre
from scnet_hub.domain.commands import Command, Completed
from scnet_hub.domain.dialects.slurm import Slurm
from scnet_hub.domain.dialects.slurm_backfill import Cycle
from scnet_hub.domain.dialects.slurm_site import Site
from scnet_hub.domain.jobs import JobSpec, JobState
from scnet_hub.errors import Unreachable

AT = datetime(2026, 11, 23, 1, 40, tzinfo=UTC)


class Scripted:
    """Answers by program name; an exception as an answer is raised."""

    def __init__(self, complaints: Mapping[str, str] | None = None, **answers: Any) -> None:
        self.answers, self.complaints, self.asked = answers, complaints or {}, [("", "")][:0]

    async def run(self, command: Command, *, account: str = "", timeout: float = 30) -> Completed:
        said = (word for text in command.argv for word in text.replace("(", " ").split())
        program = next(word for word in said if word in ("sbatch", "squeue", "scancel", "sinfo", "sacct", "scontrol"))
        self.asked.append((program, " ".join(command.argv)))
        answer = self.answers.get(program, "")
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            answer = answer(command)
        mark = next((word.partition("=")[2] for word in command.argv if word.startswith("--delimiter=")), "|")
        answer, complaint = answer.replace("|", mark), self.complaints.get(program, "")
        return Completed(command, 1 if complaint else 0, answer, complaint)


def centre(way: Scripted, accounting: str = "sacct") -> Centre:
    return Centre(None, Slurm(accounting, Cycle(), Site()), way, clock=lambda: AT)  # type: ignore[arg-type]


def queued(job: str, state: str, node: str = "n/a", priority: int = 1, reason: str = "None") -> str:
    return f"{job}|{state}|{node}|N/A|main|1|1:00:00|N/A|N/A|N/A|N/A|1|1|{priority}|{job}|N/A|{reason}|a-job|.\n"


def usage_row(job: str, state: str, exit_code: str = "0:0") -> str:
    return f"{job}|{state}|1|cpu=1|1G|1795397883|1795397883|1795397943|60|00:01.000|n7|{exit_code}|main|s-{job}\n"


def programs(way: Scripted) -> Sequence[str]:
    return [program for program, _ in way.asked]


async def test_listed_jobs_need_one_question_and_no_accounting() -> None:
    way = Scripted(squeue=queued("1", "RUNNING", "n1") + queued("2", "PENDING", reason="Priority"))
    found = await centre(way).statuses(["1", "2"])
    assert [status.state for status in found.values()] == [JobState.RUNNING, JobState.QUEUED]
    assert programs(way) == ["squeue"]


async def test_absent_jobs_are_asked_of_accounting_and_then_unknown() -> None:
    rows = usage_row("2", "COMPLETED") + usage_row("3", "FAILED", "7:0") + usage_row("4", "RUNNING")
    way = Scripted(squeue=queued("1", "RUNNING", "n1"), sacct=rows)
    found = await centre(way).statuses(["1", "2", "3", "4", "5"])
    assert [status.state.value for status in found.values()] == ["running", "completed", "failed", "unknown", "unknown"]
    assert found["3"].reason == "exit code 7:0" and found["2"].reason == "" and found["2"].node == "n7"
    assert programs(way) == ["squeue", "sacct"] and "--jobs=2,3,4,5" in way.asked[1][1]


async def test_an_unreachable_queue_is_raised_never_read_as_ended() -> None:
    with pytest.raises(Unreachable):
        await centre(Scripted(squeue=Unreachable("down"))).statuses(["1"])


async def test_accounting_that_cannot_be_asked_makes_a_job_unknown_and_nothing_else() -> None:
    way = Scripted(squeue=queued("1", "RUNNING", "n1"), sacct=Unreachable("no database"))
    found = await centre(way).statuses(["1", "2"])
    assert [status.state for status in found.values()] == [JobState.RUNNING, JobState.UNKNOWN]
    assert "no database" in found["2"].reason


async def test_nothing_asked_is_nothing_answered_and_no_question() -> None:
    way = Scripted()
    assert await centre(way).statuses([]) == {}
    await centre(way).cancel([])
    assert await centre(way).usage([]) == []
    assert way.asked == []


async def test_very_many_jobs_are_one_question_to_the_queue_and_a_few_to_accounting() -> None:
    ids = [str(number) for number in range(1, 2 * BATCH + 2)]
    way = Scripted(squeue="".join(queued(job, "RUNNING", "n1") for job in ids[:10]), sacct="")
    assert len(await centre(way).statuses(ids)) == len(ids)
    assert programs(way) == ["squeue", "sacct", "sacct"]


async def test_one_question_to_the_queue_tells_states_places_and_load() -> None:
    queue = (
        queued("7", "PENDING", priority=20, reason="Resources")
        + queued("8", "PENDING", priority=10)
        + queued("9", "RUNNING", "n1")
    )
    way = Scripted(squeue=queue, sinfo="n1|main|0/4/0/4|8000|0|(null)|gpu:0|idle|1:00:00|up|\n")
    look = await centre(way).look(["8", "9"], nodes=True)
    found, snapshot = look.statuses, look.snapshot
    assert snapshot and snapshot.taken_at == AT and snapshot.partitions["main"].queued_jobs == 2
    assert (found["8"].place, found["9"].place) == (2, 0)
    assert sorted(programs(way)) == ["sinfo", "squeue"]


@pytest.mark.parametrize(("words", "asked"), [("", "sacct"), ("Slurm accounting storage is disabled\n", "scontrol")])
async def test_where_ended_jobs_are_looked_up_is_found_out_once(words: str, asked: str) -> None:
    way = Scripted(squeue="", complaints={"sacct": words})
    one = centre(way, accounting="")
    for _ in range(2):
        await one.statuses(["1"])
    assert programs(way) == ["sacct", "squeue", asked, "squeue", asked]


async def test_records_of_strangers_are_left_out() -> None:
    way = Scripted(sacct=usage_row("1", "COMPLETED") + usage_row("2", "COMPLETED"))
    records = await centre(way).usage(["2"])
    assert [record.job_id for record in records] == ["2"]
    assert records[0].elapsed == timedelta(seconds=60)


async def test_a_submission_whose_answer_was_lost_is_absent_only_when_it_cannot_be_under_way_any_more() -> None:
    now, way = AT, Scripted(sbatch=Unreachable("cut off"))
    there = Centre(None, Slurm("sacct", Cycle()), way, clock=lambda: now, afterlife=timedelta(seconds=20))  # type: ignore[arg-type]
    now += timedelta(seconds=60)
    assert await there.submitted("s-1") is None
    with pytest.raises(Unreachable):
        await there.submit(JobSpec(name="s-1", partition="main", argv=("true",)))
    with pytest.raises(Unreachable, match="may still be under way"):
        await there.submitted("s-1")
    assert await there.submitted("s-2") is None
    way.answers["squeue"] = "J|7|RUNNING|.\n"
    assert await there.submitted("s-1") == "7"
    way.answers["squeue"] = ""
    now += timedelta(seconds=20)
    assert await there.submitted("s-1") is None


async def test_after_a_restart_an_earlier_submission_is_waited_for_too() -> None:
    now, way = AT, Scripted()
    there = Centre(None, Slurm("sacct", Cycle()), way, clock=lambda: now, afterlife=timedelta(seconds=20))  # type: ignore[arg-type]
    with pytest.raises(Unreachable, match="may still be under way"):
        await there.submitted("s-1")
    now += timedelta(seconds=20)
    assert await there.submitted("s-1") is None


async def test_submitting_gives_the_job_id() -> None:
    way = Scripted(sbatch="42\n")
    assert await centre(way).submit(JobSpec(name="s-1", partition="main", argv=("true",))) == "42"
