"""How Slurm's commands print: `%` formats, `--Format` lists, times, limits, host lists, and the fields of jobs and nodes.

Pure; `Moment` carries the clock and the asker's time format. A field that is not here is refused, not left empty.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from .queue import PENDING, RUNNING, Free, Job, Node
from .settings import Settings
from .submission import Complaint

MIB = 2**20
STANDARD = "%Y-%m-%dT%H:%M:%S"
SHORT_STATES = {
    "PENDING": "PD", "RUNNING": "R", "COMPLETING": "CG", "COMPLETED": "CD", "FAILED": "F", "CANCELLED": "CA", "TIMEOUT": "TO",
    "NODE_FAIL": "NF",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Moment:
    """Now, and how the asker wants times: `form` for strftime, "%s" being seconds since 1970."""

    now: float
    form: str = STANDARD
    utc: bool = False

    def time(self, at: float, missing: str = "N/A") -> str:
        if not at:
            return missing
        if self.form == "%s":
            return str(int(at))
        return time.strftime(self.form, time.gmtime(at) if self.utc else time.localtime(at))


def clock(seconds: float) -> str:
    """squeue's and sinfo's times: 0:05, 1:02:03, 2-00:00:00."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}-{hours:02}:{minutes:02}:{rest:02}"
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def long_clock(seconds: float) -> str:
    """scontrol's and sacct's times: 00:00:05, 2-00:00:00."""
    days, rest = divmod(int(seconds), 86400)
    text = f"{rest // 3600:02}:{rest % 3600 // 60:02}:{rest % 60:02}"
    return f"{days}-{text}" if days else text


def cpu_clock(seconds: float) -> str:
    """sacct's TotalCPU: 00:01.234 under an hour, else whole seconds."""
    return f"{int(seconds) // 60:02}:{seconds % 60:06.3f}" if seconds < 3600 else long_clock(seconds)


def hosts(names: Sequence[str]) -> str:
    """Slurm's host list: alpha[1-2]."""
    if len(names) < 2:
        return "".join(names)
    stem = re.sub(r"\d+$", "", names[0])
    numbers = sorted(int(name[len(stem) :]) for name in names)
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return f"{stem}[{','.join(f'{run[0]}-{run[-1]}' if len(run) > 1 else str(run[0]) for run in runs)}]"


def shown_state(job: Job) -> str:
    return "COMPLETING" if job.state == RUNNING and job.ending else job.state


def nodes_of(job: Job) -> str:
    return hosts([spot.node for spot in job.spots])


def megabytes(size: int) -> str:
    return f"{-(-size // MIB)}M"


JobField = Callable[[Job, Moment], str]
JOB_FIELDS: Mapping[str, JobField] = {
    "i": lambda job, at: str(job.id),
    "A": lambda job, at: str(job.id),
    "j": lambda job, at: job.name,
    "T": lambda job, at: shown_state(job),
    "t": lambda job, at: SHORT_STATES.get(shown_state(job), "UN"),
    "N": lambda job, at: nodes_of(job),
    "B": lambda job, at: job.spots[0].node if job.spots else "n/a",
    "r": lambda job, at: job.reason or "None",
    "R": lambda job, at: nodes_of(job) or f"({job.reason or 'None'})",
    "S": lambda job, at: at.time(job.started_at or job.starts_at or job.ended_at),
    "e": lambda job, at: at.time(job.ended_at or (job.started_at and job.started_at + job.limit)),
    "V": lambda job, at: at.time(job.submitted_at),
    "C": lambda job, at: str(job.cores),
    "c": lambda job, at: str(job.cores_per_task),
    "D": lambda job, at: str(job.need.nodes),
    "m": lambda job, at: megabytes(job.need.memory),
    "l": lambda job, at: clock(job.limit),
    "L": lambda job, at: clock(max(0, job.limit - job.elapsed(at.now))),
    "M": lambda job, at: clock(job.elapsed(at.now)),
    "u": lambda job, at: job.user,
    "a": lambda job, at: job.account or "(null)",
    "P": lambda job, at: job.partition,
    "Q": lambda job, at: str(priority(job)),
    "q": lambda job, at: "(null)",
    "Z": lambda job, at: job.directory,
    "b": lambda job, at: f"gres:gpu:{job.need.gpus}" if job.need.gpus else "N/A",
    "o": lambda job, at: job.command or "(null)",
    "k": lambda job, at: job.comment or "(null)",
}


JOB_WORDS: Mapping[str, JobField] = {
    "jobid": JOB_FIELDS["A"],
    "arrayjobid": JOB_FIELDS["A"],
    "arraytaskid": lambda job, at: "N/A",
    "jobarrayid": JOB_FIELDS["i"],
    "name": JOB_FIELDS["j"],
    "state": JOB_FIELDS["T"],
    "statecompact": JOB_FIELDS["t"],
    "batchhost": JOB_FIELDS["B"],
    "nodelist": JOB_FIELDS["N"],
    "starttime": JOB_FIELDS["S"],
    "endtime": JOB_FIELDS["e"],
    "submittime": JOB_FIELDS["V"],
    "partition": JOB_FIELDS["P"],
    "numcpus": JOB_FIELDS["C"],
    "numnodes": JOB_FIELDS["D"],
    "numtasks": lambda job, at: str(job.tasks),
    "timelimit": JOB_FIELDS["l"],
    "timeused": JOB_FIELDS["M"],
    "timeleft": JOB_FIELDS["L"],
    "username": JOB_FIELDS["u"],
    "prioritylong": JOB_FIELDS["Q"],
    "reason": JOB_FIELDS["r"],
    "reasonlist": JOB_FIELDS["R"],
    "tres-per-node": JOB_FIELDS["b"],
    "tres-per-job": lambda job, at: "N/A",
    "tres-per-task": lambda job, at: "N/A",
    "tres-per-socket": lambda job, at: "N/A",
}


def priority(job: Job) -> int:
    """Falls with each submission, as Slurm's priority/basic gives it."""
    return 4294901760 - job.id if job.state == PENDING or job.started_at else 0


NodeField = Callable[["NodeRow"], str]


@dataclass(frozen=True, slots=True)
class NodeRow:
    node: Node
    free: Free
    settings: Settings

    @property
    def used(self) -> int:
        return self.node.cores - self.free.cores

    @property
    def state(self) -> str:
        return "idle" if not self.used else "mixed" if self.free.cores else "allocated"

    def gres(self, count: int) -> str:
        return ":".join(filter(None, ("gpu", self.settings.gpu_model, str(count))))

    def gres_used(self) -> str:
        taken = [gpu for gpu in range(self.node.gpus) if gpu not in self.free.gpus]
        return f"{self.gres(len(taken))}(IDX:{','.join(map(str, taken)) or 'N/A'})" if self.node.gpus else "gpu:0"


NODE_FIELDS: Mapping[str, NodeField] = {
    "N": lambda row: row.node.name,
    "P": lambda row: f"{row.settings.partition}*",
    "c": lambda row: str(row.node.cores),
    "C": lambda row: f"{row.used}/{row.free.cores}/0/{row.node.cores}",
    "m": lambda row: str(row.node.memory // MIB),
    "G": lambda row: row.gres(row.node.gpus) if row.node.gpus else "(null)",
    "T": lambda row: row.state,
    "t": lambda row: {"idle": "idle", "mixed": "mix", "allocated": "alloc"}[row.state],
    "l": lambda row: clock(row.settings.max_walltime),
    "a": lambda row: "up",
    "D": lambda row: "1",
    "n": lambda row: row.node.name,
    "o": lambda row: row.node.address,
    "R": lambda row: row.settings.partition,
    "h": lambda row: "NO",
    "X": lambda row: "1",
    "Y": lambda row: str(row.node.cores),
    "Z": lambda row: "1",
}
NODE_WORDS: Mapping[str, NodeField] = {
    "nodelist": NODE_FIELDS["N"],
    "nodehost": NODE_FIELDS["n"],
    "nodeaddr": NODE_FIELDS["o"],
    "partition": NODE_FIELDS["P"],
    "partitionname": lambda row: row.settings.partition,
    "cpus": NODE_FIELDS["c"],
    "cpusstate": NODE_FIELDS["C"],
    "memory": NODE_FIELDS["m"],
    "allocmem": lambda row: str((row.node.memory - row.free.memory) // MIB),
    "gres": NODE_FIELDS["G"],
    "gresused": lambda row: row.gres_used(),
    "statelong": NODE_FIELDS["T"],
    "statecompact": NODE_FIELDS["t"],
    "time": NODE_FIELDS["l"],
    "available": NODE_FIELDS["a"],
    "nodes": NODE_FIELDS["D"],
}


def columns(form: str, fields: Mapping[str, Callable[..., str]]) -> list[str | tuple[str, int, bool]]:
    """A `%` format in pieces: text, or (field, width, right-aligned). Raises Complaint for an unknown field."""
    pieces: list[str | tuple[str, int, bool]] = []
    for text, percent, dot, width, letter in re.findall(r"([^%]+)|(%)(\.?)(\d*)(.?)", form):
        if not percent:
            pieces.append(text)
        elif letter == "%":
            pieces.append("%")
        elif letter not in fields:
            raise Complaint(f"Invalid job format specification: {letter}")
        else:
            pieces.append((letter, int(width or 0), bool(dot)))
    return pieces


def padded(text: str, width: int, right: bool) -> str:
    if not width:
        return text
    return text[:width].rjust(width) if right else text[:width].ljust(width)


Field = TypeVar("Field", bound=Callable[..., str])


def long_columns(form: str, fields: Mapping[str, Field], of: str) -> list[tuple[Field, int, bool, str]]:
    """`--Format` of sinfo and squeue: "Name[:[.][width][suffix]],..."; 20 wide if nothing is said, not at all with a suffix only. Raises
    Complaint for a field that is not in `fields`, which are those `of` nodes or jobs."""
    found = []
    for word in form.split(","):
        name, colon, rest = word.partition(":")
        match = re.fullmatch(r"(\.?)(\d*)(.*)", rest)
        assert match is not None
        if name.lower() not in fields:
            raise Complaint(f"Invalid {of} format specification: {name}")
        width = int(match[2]) if match[2] else (0 if match[3] else 20)
        found.append((fields[name.lower()], width, bool(match[1]), match[3] if colon else ""))
    return found
