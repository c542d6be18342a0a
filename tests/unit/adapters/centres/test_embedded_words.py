"""What the embedded centre prints against what Slurm 22.05.8 printed for the same jobs:
`tests/samples/slurm_commands/commands.txt`.

The jobs are read from the record's own rows of sacct, so only the clock at each command is not known: any second of the
recording may be it. What differs on purpose stands in DIFFERENT, with the reason.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scnet_hub.demo.embedded import Settings, client, slurm_commands
from scnet_hub.demo.embedded.command_options import Complaint
from scnet_hub.demo.embedded.formatting import Owner, host_names, hosts
from scnet_hub.demo.embedded.manuals import MANUALS
from scnet_hub.demo.embedded.request import Question
from scnet_hub.demo.embedded.sbatch_options import Submission
from scnet_hub.demo.embedded.scheduler import Job, Need, Node, Spot, Step
from tests.unit.adapters.centres.transcripts import Said, read

SAMPLES = Path(__file__).parents[3] / "samples" / "slurm_commands"
RECORD = read((SAMPLES / "commands.txt").read_text())
GIB, MIB = 2**30, 2**20
SECONDS = 60  # that the recording took at most, from the start of the last job
SPOTS = {1: (Spot("alpha1"),), 2: (Spot("alpha2"),), 3: (Spot("alpha1"), Spot("alpha2"))}
# Of each job: its need, and where it ran by the names of SPOTS.
NEEDS = {
    6: Need(1, 3, 1500 * MIB, 1), 7: Need(2, 1, 2 * GIB), 8: Need(2, 4, 8 * GIB), 9: Need(1, 4, 8 * GIB),
}  # fmt: skip
REASONS = {
    "failed": "NonZeroExitCode",
    "killed": "JobLaunchFailure",
    "late": "TimeLimit",
    "waits": "Resources",
    "behind": "Priority",
}
# Commands that are not compared.
DIFFERENT = {
    "squeue --st=all -h -o %i": "--steps, a third possibility, is not answered",
    "sacct -S now-1hours -X -o "
    "'jobid%5,jobname%-12,jobname%12,jobname,state%30,end'": "there, a width stays for the same field after it",
}
UNLIKE = (
    (r"AllocNode:Sid=\S+", "a session id is nothing that a daemon is told"),
    (r"LastSchedEval=\S+ Scheduler=\S+", "the scheduler's own diary"),
    (r"(?<=NodeList=) SchedNodeList=\S+", "the queue plans a time, not the nodes"),
    (r"(?m)(alpha\S+|\(null\)) *(?=\(Resources\)|\(Priority\)|\|\*:\*:\*)", "the same in SCHEDNODES"),
    (
        r"(?m)^4\.batch.*T\d\d:.*$",
        "a cancelled batch step ended 3 s after its job there, for its processes took that long",
    ),
)


@dataclass
class Recorded:
    """A centre that stands still, with the jobs of the record."""

    listed: list[Job]
    clock: float = 0.0
    settings: Settings = field(
        default_factory=lambda: Settings(
            name="alpha", nodes=2, cores=4, memory=8 * GIB, gpus=2, gpu_model="a100", max_walltime=4 * 3600
        )
    )
    nodes: list[Node] = field(default_factory=lambda: [Node(f"alpha{n}", "127.0.0.1", 4, 8 * GIB, 2) for n in (1, 2)])
    owner: Owner = field(default_factory=lambda: Owner("root", 0, "root", 0))

    def now(self) -> float:
        return self.clock

    def running(self) -> Sequence[Job]:
        return [job for job in self.listed if job.state == "RUNNING"]

    def queue(self, *, ended: bool) -> Sequence[Job]:
        return [job for job in self.listed if ended or not job.ended_at]

    def jobs(self, ids: Sequence[int]) -> Sequence[Job]:
        return [job for job in self.listed if job.id in ids]

    def since(self, at: float) -> Sequence[Job]:
        return [job for job in self.listed if not job.ended_at or job.ended_at > at]

    def submit(self, asked: Submission) -> int:
        raise AssertionError(f"{asked} would be submitted")

    def cancel(self, job: Job) -> None:
        raise AssertionError(f"{job} would be cancelled")

    def begin_step(self, job: Job, step: Step) -> Step:
        raise AssertionError(f"{step} would begin")


def rows(beginning: str, mark: str) -> list[dict[str, str]]:
    """The rows of the first command that begins so."""
    said = next(said for said in RECORD if said.command.startswith(beginning))
    titles, *lines = (line.split(mark) for line in said.stdout.splitlines())
    return [dict(zip(titles, line, strict=True)) for line in lines]


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() if text[:1].isdigit() else 0.0


def recorded() -> Recorded:
    squeue = next(said for said in RECORD if said.command.startswith("squeue -t all -o '%a|"))
    titles, *lines = (line.split("|") for line in squeue.stdout.splitlines())
    at = {title: place for place, title in enumerate(titles)}
    cell = lambda line, title: line[at[title]]  # noqa: E731
    jobs = [_job({title: cell(line, title) for title in at}) for line in lines]
    return Recorded(sorted(jobs, key=lambda job: job.id))


def _job(row: dict[str, str]) -> Job:
    number, state = int(row["JOBID"]), row["STATE"]
    pending = state == "PENDING"
    need = NEEDS.get(number, Need(1, 1, 2 * GIB))
    spots = (
        ()
        if pending
        else SPOTS[3]
        if need.nodes == 2
        else tuple(Spot(row["EXEC_HOST"], (0,) * need.gpus) for _ in range(1))
    )
    ended = state not in ("PENDING", "RUNNING")
    code, signal = {"failed": (3, 0), "killed": (0, 9)}.get(row["NAME"], (0, 0))
    return Job(
        id=number, name=row["NAME"], user="root", partition="main", need=need, account="root", state=state, spots=spots,
        limit={5: 60, 6: 1800, 7: 7200, 9: 1800}.get(number, 4 * 3600), reason=REASONS.get(row["NAME"], ""), code=code,
        signal=signal, tasks=8 if number == 8 else need.nodes, tasks_per_node=4 if number == 8 else 0,
        cores_per_task={6: 3, 9: 4}.get(number, 1), memory_per_core=0 if number == 6 else 2 * GIB,
        gpu_model="a100" if number == 6 else "", comment="x y" if number == 6 else "",
        submitted_at=seconds(row["SUBMIT_TIME"]), started_at=0.0 if pending else seconds(row["START_TIME"]),
        starts_at=seconds(row["START_TIME"]) if pending else 0.0, ended_at=seconds(row["END_TIME"]) if ended else 0.0,
        directory=row["WORK_DIR"], output="/dev/null",
    )  # fmt: skip


def answered(centre: Recorded, said: Said) -> Said:
    """The same command to the embedded centre."""
    before, pipe, command = said.command.rpartition(" | ")
    argv = shlex.split(command)
    stdin = shlex.split(before)[1].encode().decode("unicode_escape") if pipe else ""
    answer = slurm_commands.answer(Question(tuple(argv), stdin, "/tmp", {"TZ": "UTC"}), centre)
    assert answer.code is not None
    return Said(said.command, answer.stdout, answer.stderr, answer.code)


def alike(said: Said) -> tuple[str, str, int]:
    text = said.stdout
    for pattern, _ in UNLIKE:
        text = re.sub(pattern, "", text)
    return text, re.sub(r"\n+", "\n", said.stderr), said.code


COMPARED = [
    said
    for said in RECORD
    if not said.command.startswith("sbatch -J") and said.command not in {"scancel 4", *DIFFERENT}
]


@pytest.mark.parametrize("said", COMPARED, ids=[said.command[:60] for said in COMPARED])
def test_it_prints_what_slurm_printed(said: Said) -> None:
    wanted = alike(said)
    assert wanted in tries(said), nearest(tries(said), wanted)


def tries(said: Said) -> Iterator[tuple[str, str, int]]:
    """The command's answer in each second of the recording."""
    centre = recorded()
    began = max(job.started_at for job in centre.listed)
    for second in range(SECONDS):
        centre.clock = began + second
        yield alike(answered(centre, said))


def nearest(found: Iterator[tuple[str, str, int]], wanted: tuple[str, str, int]) -> str:
    best = max(found, key=lambda one: difflib.SequenceMatcher(None, one[0], wanted[0]).quick_ratio())
    lines = difflib.unified_diff(
        *("\n".join(map(str, one)).splitlines() for one in (wanted, best)), "Slurm", "here", lineterm=""
    )
    return "\n".join(lines)


def test_what_differs_on_purpose_was_recorded() -> None:
    assert DIFFERENT.keys() <= {said.command for said in RECORD}


@pytest.mark.parametrize("said", read((SAMPLES / "away.txt").read_text()), ids=lambda said: said.command[:40])
def test_a_command_without_its_daemon_fails_in_slurms_words(said: Said, tmp_path: Path) -> None:
    argv = shlex.split(said.command)
    environment = {key: value for key, value in os.environ.items() if key != "SLURM_JOB_ID"}
    done = subprocess.run(
        [sys.executable, "-ISE", client.__file__, str(tmp_path / "socket"), *argv], env=environment,
        capture_output=True, text=True,
    )  # fmt: skip
    assert Said(said.command, done.stdout, done.stderr, done.returncode) == said


def test_a_daemon_that_accepts_and_says_nothing_is_away_as_well(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen()
        asked = subprocess.Popen(
            [sys.executable, "-ISE", client.__file__, str(tmp_path / "s"), "squeue"], stderr=subprocess.PIPE, text=True
        )
        server.accept()[0].close()
        assert (
            asked.communicate(timeout=20)[1]
            == "slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n"
        )
        assert asked.returncode == 1


def test_sacct_without_its_daemon_fails_as_without_slurmdbd(tmp_path: Path) -> None:
    recorded_words = (SAMPLES.parent / "slurm" / "sacct_down.txt").read_text().partition("---- stderr\n")[2]
    done = subprocess.run(
        [sys.executable, "-ISE", client.__file__, str(tmp_path / "socket"), "sacct"], capture_output=True, text=True
    )
    assert done.returncode == 1 and re.sub(r"host:\S+:\d+", "", done.stderr) == re.sub(
        r"host:\S+:\d+", "", recorded_words
    )


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["alpha1", "alpha2", "alpha4"], "alpha[1-2,4]"), (["login"], "login"),
        (["a1", "login", "b07", "b08"], "a1,login,b[07-08]"), (["127.1.9.1", "127.1.9.2"], "127.1.9.[1-2]"),
        (["a9", "a10"], "a[9-10]"), ([], ""),
    ],
)  # fmt: skip
def test_a_host_list_folds_and_unfolds(names: list[str], text: str) -> None:
    assert hosts(names) == text and host_names(text) == names


@pytest.mark.parametrize(
    "text", ["a[1-999999]", "a[x]", "a[1-2", "a" * 20_000, ",".join(["a[1-9999]"] * 9), "[" * 9_000]
)
def test_a_host_list_that_is_none_or_too_long_is_refused_quickly(text: str) -> None:
    with pytest.raises(Complaint, match="Invalid hostlist"):
        host_names(text)


def test_options_are_read_as_getopt_long_reads_them() -> None:
    squeue, sbatch = MANUALS["squeue"], MANUALS["sbatch"]
    assert squeue.parse(["-ho", "%i", "x", "--name=a=b", "--", "-j"]) == (
        {"noheader": "", "format": "%i", "name": "a=b"},
        ["x", "-j"],
    )
    assert sbatch.parse(["-n4", "--get-user-env=L", "job.sh", "-n", "9"]) == (
        {"ntasks": "4", "get-user-env": "L"},
        ["job.sh", "-n", "9"],
    )
    assert sbatch.parse(["--part", "main", "--get-user-env"]) == ({"partition": "main", "get-user-env": ""}, [])
