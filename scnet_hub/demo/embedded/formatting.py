"""The output formats of Slurm's commands: `%` formats, `--Format` lists, times, sizes, host lists, and squeue's fields
of a job.

Pure; `Moment` carries the clock and the caller's time format. An unknown field is refused, not left empty.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from .command_options import Complaint
from .scheduler import PENDING, RUNNING, Job

MIB = 2**20
MOST_HOSTS = 10_000  # names in a host list, and characters of a host list: the daemon answers others meanwhile
Row = TypeVar("Row")
STANDARD = "%Y-%m-%dT%H:%M:%S"
SHORT_STATES = {
    "PENDING": "PD", "RUNNING": "R", "COMPLETING": "CG", "COMPLETED": "CD", "FAILED": "F", "CANCELLED": "CA",
    "TIMEOUT": "TO", "NODE_FAIL": "NF",
}  # fmt: skip
GIVES_REASON = (PENDING, "FAILED", "TIMEOUT")


@dataclass(frozen=True, slots=True)
class Owner:
    """The one user whose jobs an embedded centre runs."""

    user: str
    uid: int
    group: str
    gid: int


@dataclass(frozen=True, slots=True)
class Moment:
    """The current time, the centre's owner, and the caller's time format: `form` for strftime, "%s" being seconds since
    1970."""

    now: float
    owner: Owner
    form: str = STANDARD
    utc: bool = False

    def time(self, at: float, missing: str = "N/A") -> str:
        if not at:
            return missing
        if self.form == "%s":
            return str(int(at))
        return time.strftime(self.form, time.gmtime(at) if self.utc else time.localtime(at))

    def date_line(self) -> str:
        """Returns the line above a long listing."""
        return time.strftime("%a %b %d %H:%M:%S %Y\n", time.gmtime(self.now) if self.utc else time.localtime(self.now))


def clock(seconds: float) -> str:
    """Formats a time as squeue and sinfo do: 0:05, 1:02:03, 2-00:00:00."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}-{hours:02}:{minutes:02}:{rest:02}"
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def long_clock(seconds: float) -> str:
    """Formats a time as scontrol and sacct do: 00:00:05, 2-00:00:00."""
    days, rest = divmod(int(seconds), 86400)
    text = f"{rest // 3600:02}:{rest % 3600 // 60:02}:{rest % 60:02}"
    return f"{days}-{text}" if days else text


def cpu_clock(seconds: float) -> str:
    """Formats sacct's TotalCPU: 00:01.234 under an hour, else whole seconds."""
    return f"{int(seconds) // 60:02}:{seconds % 60:06.3f}" if seconds < 3600 else long_clock(seconds)


def hosts(names: Sequence[str]) -> str:
    """Returns Slurm's host list: alpha[1-2],login. Names with the same stem are joined, at the place of the first."""
    groups: dict[tuple[str, int], list[int]] = {}
    for name in names:
        stem = name.rstrip("0123456789")
        digits = name[len(stem) :]
        numbers = groups.setdefault((stem, len(digits) if digits.startswith("0") else int(bool(digits))), [])
        numbers += [int(digits)] if digits else []
    return ",".join(_folded(stem, width, sorted(numbers)) for (stem, width), numbers in groups.items())


def _folded(stem: str, width: int, numbers: Sequence[int]) -> str:
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    words = [f"{run[0]:0{width}}-{run[-1]:0{width}}" if len(run) > 1 else f"{run[0]:0{width}}" for run in runs]
    return stem + (f"[{','.join(words)}]" if len(numbers) > 1 else "".join(words))


def host_names(text: str) -> list[str]:
    """Returns the names in a host list such as alpha[1-3,5],beta07, at most MOST_HOSTS. Raises Complaint."""
    if len(text) > MOST_HOSTS:
        raise Complaint("Invalid hostlist: it is too long")
    names: list[str] = []
    parts = re.findall(r"(?:[^,\[\]]|\[[^\[\]]*\])+", text)
    if ",".join(parts) != text:
        raise Complaint(f"Invalid hostlist: {text[:80]}")
    for part in parts:
        stem, bracket, inside = part.partition("[")
        numbers, _, tail = inside.partition("]")
        names += [f"{stem}{number}{tail}" for number in _numbers(numbers, text)] if bracket else [part]
        if len(names) > MOST_HOSTS:
            raise Complaint(f"Invalid hostlist: {text[:80]} has more than {MOST_HOSTS} names")
    return names


def _numbers(text: str, whole: str) -> list[str]:
    found: list[str] = []
    for run in text.split(","):
        match = re.fullmatch(r"(\d{1,6})(?:-(\d{1,6}))?", run, re.ASCII)
        if not match or len(found) > MOST_HOSTS or int(match[2] or 0) - int(match[1]) > MOST_HOSTS:
            raise Complaint(f"Invalid hostlist: {whole[:80]}")
        first, last = match[1], match[2] or match[1]
        found += [f"{number:0{len(first)}}" for number in range(int(first), int(last) + 1)]
    return found


def shown_state(job: Job) -> str:
    return "COMPLETING" if job.state == RUNNING and job.ending else job.state


def nodes_of(job: Job) -> str:
    return hosts([spot.node for spot in job.spots])


def size(count: int) -> str:
    """Formats bytes as Slurm shows memory: in the largest unit that holds them exactly, from M on."""
    megabytes = -(-count // MIB)
    for unit in "MGT":
        if megabytes % 1024 or not megabytes:
            return f"{megabytes}{unit}"
        megabytes //= 1024
    return f"{megabytes}P"


def gres(job: Job) -> str:
    return ":".join(filter(None, ("gres:gpu", job.gpu_model, str(job.need.gpus))))


def priority(job: Job) -> int:
    """Returns a priority that falls with each submission, as Slurm's priority/basic gives it."""
    return 4294901760 - job.id


def starts(job: Job) -> float:
    return job.started_at or job.starts_at or job.ended_at


def ends(job: Job) -> float:
    return job.ended_at or (starts(job) and starts(job) + job.limit)


def left(job: Job, now: float) -> int:
    return job.limit - job.elapsed(now)


JobField = Callable[[Job, Moment], str]
JOB_TITLES = {
    "a": "ACCOUNT", "A": "JOBID", "b": "TRES_PER_NODE", "B": "EXEC_HOST", "c": "MIN_CPUS", "C": "CPUS",
    "d": "MIN_TMP_DISK", "D": "NODES", "e": "END_TIME", "E": "DEPENDENCY", "f": "FEATURES", "F": "ARRAY_JOB_ID",
    "g": "GROUP", "G": "GROUP", "h": "OVER_SUBSCRIBE", "H": "SOCKETS_PER_NODE", "i": "JOBID", "I": "CORES_PER_SOCKET",
    "j": "NAME", "J": "THREADS_PER_CORE", "k": "COMMENT", "K": "ARRAY_TASK_ID", "l": "TIME_LIMIT", "L": "TIME_LEFT",
    "m": "MIN_MEMORY", "M": "TIME", "n": "REQ_NODES", "N": "NODELIST", "o": "COMMAND", "O": "CONTIGUOUS",
    "p": "PRIORITY", "P": "PARTITION", "q": "QOS", "Q": "PRIORITY", "r": "REASON", "R": "NODELIST(REASON)",
    "S": "START_TIME", "t": "ST", "T": "STATE", "u": "USER", "U": "UID", "v": "RESERVATION", "V": "SUBMIT_TIME",
    "w": "WCKEY", "W": "LICENSES", "x": "EXC_NODES", "X": "CORE_SPEC", "y": "NICE", "Y": "SCHEDNODES", "z": "S:C:T",
    "Z": "WORK_DIR", "numtasks": "TASKS", "tres-per-job": "TRES_PER_JOB", "tres-per-task": "TRES_PER_TASK",
    "tres-per-socket": "TRES_PER_SOCKET",
}  # fmt: skip
# Fields that no job of an embedded centre has.
JOB_CONSTANTS = {
    "d": "0", "E": "(null)", "f": "(null)", "h": "OK", "H": "*", "I": "*", "J": "*", "K": "N/A", "n": "", "O": "0",
    "q": "normal", "v": "(null)", "w": "(null)", "W": "(null)", "x": "", "X": "N/A", "y": "0", "Y": "(null)",
    "z": "*:*:*", "tres-per-job": "N/A", "tres-per-task": "N/A", "tres-per-socket": "N/A",
}  # fmt: skip
JOB_FIELDS: Mapping[str, JobField] = {
    **{letter: lambda job, at, text=text: text for letter, text in JOB_CONSTANTS.items()},  # type: ignore[misc]
    "i": lambda job, at: str(job.id),
    "A": lambda job, at: str(job.id),
    "F": lambda job, at: str(job.id),
    "j": lambda job, at: job.name,
    "T": lambda job, at: shown_state(job),
    "t": lambda job, at: SHORT_STATES.get(shown_state(job), "UN"),
    "N": lambda job, at: nodes_of(job),
    "B": lambda job, at: job.spots[0].node if job.spots else "n/a",
    "r": lambda job, at: job.reason or "None",
    "R": lambda job, at: f"({job.reason or 'None'})" if job.state in GIVES_REASON else nodes_of(job),
    "S": lambda job, at: at.time(starts(job)),
    "e": lambda job, at: at.time(ends(job)),
    "V": lambda job, at: at.time(job.submitted_at),
    "C": lambda job, at: str(job.cores),
    "c": lambda job, at: str(min_cpus(job)),
    "D": lambda job, at: str(job.need.nodes),
    "m": lambda job, at: size(job.memory_per_core or job.need.memory),
    "l": lambda job, at: clock(job.limit),
    "L": lambda job, at: clock(left(job, at.now)) if left(job, at.now) >= 0 else "INVALID",
    "M": lambda job, at: clock(job.elapsed(at.now)),
    "u": lambda job, at: job.user,
    "U": lambda job, at: str(at.owner.uid),
    "g": lambda job, at: at.owner.group,
    "G": lambda job, at: str(at.owner.gid),
    "a": lambda job, at: job.account or "(null)",
    "P": lambda job, at: job.partition,
    "p": lambda job, at: f"{priority(job) / (2**32 - 1):.14f}",
    "Q": lambda job, at: str(priority(job)),
    "Z": lambda job, at: job.directory,
    "b": lambda job, at: gres(job) if job.need.gpus else "N/A",
    "numtasks": lambda job, at: str(job.tasks),
    "o": lambda job, at: job.command or "(null)",
    "k": lambda job, at: job.comment or "(null)",
}
JOB_WORDS = {
    "account": "a", "jobid": "A", "jobarrayid": "i", "arrayjobid": "F", "arraytaskid": "K", "tres-per-node": "b",
    "batchhost": "B", "mincpus": "c", "numcpus": "C", "mintmpdisk": "d", "numnodes": "D", "endtime": "e",
    "dependency": "E", "feature": "f", "groupname": "g", "groupid": "G", "oversubscribe": "h", "name": "j",
    "comment": "k", "timelimit": "l", "timeleft": "L", "minmemory": "m", "timeused": "M", "reqnodes": "n",
    "nodelist": "N", "command": "o", "contiguous": "O", "priority": "p", "partition": "P", "qos": "q",
    "prioritylong": "Q", "reason": "r", "reasonlist": "R", "starttime": "S", "statecompact": "t", "state": "T",
    "username": "u", "userid": "U", "reservation": "v", "submittime": "V", "wckey": "w", "licenses": "W", "nice": "y",
    "schednodes": "Y", "workdir": "Z", "maxcpus": "C", "numtasks": "numtasks", "tres-per-job": "tres-per-job",
    "tres-per-task": "tres-per-task", "tres-per-socket": "tres-per-socket",
}  # fmt: skip
SORT_KEYS: Mapping[str, Callable[[Job, Moment], float | str]] = {
    **dict.fromkeys("iAF", lambda job, at: job.id), **dict.fromkeys("pQ", lambda job, at: priority(job)),
    "C": lambda job, at: job.cores, "c": lambda job, at: min_cpus(job), "D": lambda job, at: job.need.nodes,
    "m": lambda job, at: job.need.memory, "l": lambda job, at: job.limit, "L": lambda job, at: left(job, at.now),
    "M": lambda job, at: job.elapsed(at.now), "S": lambda job, at: starts(job), "e": lambda job, at: ends(job),
    "V": lambda job, at: job.submitted_at,
}  # fmt: skip


def min_cpus(job: Job) -> int:
    """Returns the cores that each node must have at least: for the tasks requested per node, or for one task."""
    return max(job.tasks_per_node, 1) * job.cores_per_task


def ordered(jobs: Sequence[Job], fields: str, at: Moment) -> list[Job]:
    """Returns jobs sorted as squeue's --sort requests, such as P,t,-p. Raises Complaint."""
    found = list(jobs)
    for word in reversed(fields.split(",")):
        letter = word.lstrip("+-")
        if letter not in JOB_FIELDS:
            raise Complaint(f"Invalid sort specification: {word}")
        key = SORT_KEYS.get(letter, JOB_FIELDS[letter])
        found.sort(key=lambda job, key=key: key(job, at), reverse=word.startswith("-"))  # type: ignore[misc]
    return found


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a listing: a field's letter, its width (0: the text's own), its side, and its suffix."""

    letter: str
    width: int = 0
    right: bool = False
    suffix: str = ""

    def padded(self, text: str) -> str:
        if not self.width:
            return text + self.suffix
        return (
            text[: self.width].rjust(self.width) if self.right else text[: self.width].ljust(self.width)
        ) + self.suffix


def columns(form: str, known: Mapping[str, object], what: str) -> list[Column]:
    """Parses a `%` format; text before the first field is a column without a letter. Raises Complaint for an unknown
    field."""
    first, *rest = form.split("%")
    found = [Column("", suffix=first)] if first else []
    for piece in rest:
        dot, width, letter, text = re.fullmatch(r"(\.?)(\d{0,4})(.?)(.*)", piece, re.DOTALL).groups()  # type: ignore[union-attr]
        if letter and letter not in known:
            raise Complaint(f"Invalid {what} format specification: {letter}")
        found.append(Column(letter, int(width or 0), bool(dot), text))
    return found


def long_columns(form: str, words: Mapping[str, str], what: str) -> list[Column]:
    """Parses `--Format`: "Name[:[.][width][suffix]],..."; 20 wide by default, no fixed width with only a suffix."""
    found = []
    for word in form.split(","):
        name, _, rest = word.partition(":")
        dot, width, suffix = re.fullmatch(r"(\.?)(\d{0,4})(.*)", rest, re.DOTALL).groups()  # type: ignore[union-attr]
        if name.strip().lower() not in words:
            raise Complaint(f"Invalid {what} format specification: {name}")
        found.append(
            Column(words[name.strip().lower()], int(width) if width else 0 if suffix else 20, bool(dot), suffix)
        )
    return found


def table(
    wanted: Sequence[Column], rows: Sequence[Row], show: Callable[[str, Row], str], titles: Mapping[str, str] | None
) -> str:
    """Returns the rows, below their titles if there are any."""
    lines = [] if titles is None else ["".join(column.padded(titles.get(column.letter, "")) for column in wanted)]
    lines += [
        "".join(column.padded(show(column.letter, row) if column.letter else "") for column in wanted) for row in rows
    ]
    return "".join(f"{line}\n" for line in lines)
