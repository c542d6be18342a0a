"""Slurm's words: sbatch, squeue, scancel, sinfo with sdiag, sacct (or scontrol), each a builder and its parser.

Knows Slurm 20.11 and later, its states, units and complaints, and nothing of who runs a job or how a command gets there.
Times are asked for as seconds since 1970 (`SLURM_TIME_FORMAT=%s`), so no time zone or locale of a centre matters. Rows of
squeue carry a tag and an end mark: a banner printed in between is no row, and half a row is `Garbled`.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from ..commands import Command, Completed
from ..errors import BadOption, Garbled, Rejected, SpecError, Unreachable
from ..jobs import Booking, JobSpec, JobState, JobStatus, LoadSnapshot, NodeLoad, PartitionLoad, UsageRecord, Waiting
from ..units import format_walltime, parse_walltime
from . import sdiag, slurm_accounting
from .checks import AHEAD, FOR_EVER, check, check_name, each, lines, number, numbers, sentence, short
from .sdiag import Cycle
from .slurm_accounting import gpus_of, state_of, time_of

MIB = 2**20
PLAIN = ("env", "SLURM_TIME_FORMAT=%s", "TZ=UTC", "LC_ALL=C")
FIND_FORMAT = "J|%A|%T|."


class Row(NamedTuple):
    """One job of a look, in squeue's own words."""

    job: str
    state: str
    node: str
    start: str
    partitions: str
    cores: str
    limit: str
    gres: str
    nodes: str
    priority: str
    reason: str
    name: str


# A stranger's name may hold anything, line ends and whole rows too: so it comes last and has its width, which is that of ours.
NAME_WIDTH = 21
QUEUE_FORMAT = f"J|%A|%T|%B|%S|%P|%C|%l|%b|%D|%Q|%r|%.{NAME_WIDTH}j|."
_FIELD = r"\|([^|\n]*)"
_QUEUE_ROW = re.compile(rf"^J\|(\d+){_FIELD * 9}\|([^\n]*?)\|((?s:.{{0,{NAME_WIDTH}}}))\|\.\n", re.MULTILINE)
NODE_FIELDS = ("NodeList", "PartitionName", "CPUsState", "Memory", "AllocMem", "Gres", "GresUsed", "StateLong", "Time", "Available")
DELIMITER = "--delimiter="
LOOK_BACK = "now-7days"

TELLING = frozenset({"TIMEOUT", "OUT_OF_MEMORY", "DEADLINE", "NODE_FAIL", "BOOT_FAIL", "PREEMPTED", "SUSPENDED", "REVOKED"})
WORKING = frozenset({"idle", "mixed", "allocated", "completing", "planned", "idle_ctld", "mixed_ctld"})
UNUSABLE_FLAGS = frozenset("*%!$@^")  # not responding, powering down, maintenance, reboot; "~#-+" still take jobs
# What Slurm itself says can never start as it was submitted (squeue(1), "job reason codes"; without EnforcePartLimits an
# impossible size is accepted and waits for ever as PartitionConfig).
HOPELESS = frozenset(
    {"PartitionConfig", "PartitionTimeLimit", "BadConstraints", "InvalidAccount", "InvalidQOS", "AccountNotAllowed", "QOSNotAllowed",
     "DependencyNeverSatisfied", "AssocMaxWallDurationPerJobLimit", "QOSMaxWallDurationPerJobLimit", "AssocMaxCpuPerJobLimit",
     "QOSMaxCpuPerJobLimit", "AssocMaxNodePerJobLimit", "QOSMaxNodePerJobLimit", "AssocMaxMemPerJob", "QOSMaxMemoryPerJob"}
)  # fmt: skip
STANDS_ASIDE = HOPELESS | frozenset(
    {"JobHeldUser", "JobHeldAdmin", "Dependency", "DependencyNeverSatisfied", "BeginTime", "JobArrayTaskLimit"}
)

# "Could not ask", in the words of Slurm's clients (performance.md 5.4 B, testbed.md 4), of munge and of slurmdbd.
_NOT_ASKED = re.compile(
    r"unable to contact slurm controller|socket timed out|protocol authentication error|connection refused|connection timed out"
    r"|connection reset|zero bytes were transmitted|communication connection failure|communications? shutdown failure"
    r"|problem talking to the database|unable to connect to database|rate ?limit|rpc limit|resource temporarily unavailable"
    r"|temporarily unable to accept job|backup controller in standby|controller not responding|in a recovery phase"
    r"|could not establish a configuration source|unable to establish control|transport endpoint|munge.*(failed|timed? ?out)"
    r"|no route to host|name or service not known|temporary failure in name resolution",
    re.IGNORECASE,
)
_NO_SUCH_JOB = re.compile(r"invalid job id specified|job/step already completing or completed", re.IGNORECASE)
_PREFIX = re.compile(r"^(?:sbatch|squeue|scancel|sinfo|sacct|scontrol|slurm_load_\w+|scontrol_\w+)(?:: error)?:? (?:error: )?")


class Slurm:
    """`accounting` is where ended jobs are looked up: "sacct", or "scontrol" on a cluster that has no slurmdbd (then CPU
    time is not known, and `MinJobAge` in slurm.conf says for how long a job can still be charged); "" asks which. `cycle` is
    how often backfill looks for holes; None asks for it."""

    def __init__(self, accounting: str = "", cycle: Cycle | None = None) -> None:
        if accounting not in ("", "sacct", "scontrol"):
            raise SpecError(f"accounting {accounting!r} is not known.", hint="Slurm's are sacct and scontrol.")
        self.accounting, self.cycle = accounting, cycle

    # ---- probe

    def probe(self) -> tuple[Command, ...]:
        sacct = () if self.accounting else (Command((*PLAIN, "sacct", "--noheader", "--jobs=1", "--format=JobIDRaw")),)
        return (*sacct, *(() if self.cycle else (Command((*PLAIN, "scontrol", "show", "config")),)))

    def probed(self, done: Sequence[Completed]) -> Slurm:
        accounting = self.accounting or _accounting(done[0])
        return Slurm(accounting, self.cycle or _cycle(done[-1]))

    # ---- submit

    def submit(self, spec: JobSpec) -> Command:
        """Options go as arguments, not as directives: the environment's SBATCH_* can't override them, and no quoting of
        `#SBATCH` lines can be broken. No `env` before it: sbatch hands its environment on to the job. Raises BadOption."""
        check(spec)
        nodes = max(spec.nodes, 1)
        options = {
            "job-name": spec.name,
            "partition": spec.partition,
            "nodes": f"{nodes}",
            "ntasks": f"{nodes}",
            "cpus-per-task": f"{each(max(spec.cores, 1), nodes)}",
            "mem": f"{each(each(spec.memory, nodes), MIB)}M" if spec.memory else "",
            "time": format_walltime(spec.walltime),
            "gres": ":".join(filter(None, ("gpu", spec.gpu_model, f"{each(spec.gpus, nodes)}"))) if spec.gpus else "",
            "output": spec.output.replace("%", "%%"),
            "chdir": spec.directory,
        }
        given = tuple(f"--{name}={value}" for name, value in options.items() if value)
        script = f"#!/bin/bash\nexec {shlex.join(spec.argv)}\n"
        return Command(("sbatch", "--parsable", "--no-requeue", *given), script.encode())

    def submitted(self, done: Completed) -> str:
        _check_asked(done)
        if done.code:
            raise Rejected(_words(done))
        for line in reversed(lines(done.stdout)):
            if match := re.fullmatch(r"\s*(\d+)(?:;[\w.-]*)?\s*", line):
                return match[1]
        raise Garbled(f"sbatch answered without a job id: {short(done.stdout)!r}.")

    # ---- find, cancel

    def find(self, name: str) -> Command:
        check_name("name", name)
        return _squeue("--me", "--states=all", f"--name={name}", f"--format={FIND_FORMAT}")

    def found(self, done: Completed) -> str | None:
        rows = [(state_of(word).ended, -int(job), job) for job, word in _rows(done, 2)]
        return min(rows)[2] if rows else None

    def remembered(self, name: str) -> Command | None:
        """squeue forgets a job MinJobAge (300 s) after its end."""
        check_name("name", name)
        asked = ("sacct", "--noheader", "--parsable2", "--allocations", f"--name={name}", f"--starttime={LOOK_BACK}", "--format=JobIDRaw")
        return Command((*PLAIN, *asked)) if self.accounting == "sacct" else None

    def recalled(self, done: Completed) -> str | None:
        _check_asked(done)
        if done.code:
            raise Rejected(_words(done), hint=_accounting_hint(done))
        _check_whole(done)
        return max((line for line in done.stdout.splitlines() if line.isdecimal()), key=int, default=None)

    def cancel(self, ids: Sequence[str]) -> Command:
        return Command((*PLAIN, "scancel", "--quiet", *numbers(ids)))

    def cancelled(self, done: Completed) -> None:
        _check_asked(done)
        complaints = [line for line in done.stderr.splitlines() if line.strip() and not _NO_SUCH_JOB.search(line)]
        if done.code and (complaints or not done.stderr.strip()):
            raise Rejected(_words(done))

    # ---- look

    def queue(self) -> Command:
        return _squeue("--states=all", f"--format={QUEUE_FORMAT}")

    def statuses(self, done: Completed, at: datetime) -> dict[str, JobStatus]:
        rows = _queue_rows(done)
        places = {row.job: place for line in _lines(rows).values() for place, row in enumerate(line, 1)}
        return {row.job: _status(row, at, places.get(row.job, 0)) for row in rows}

    def nodes(self) -> tuple[Command, ...]:
        fields = ",".join(f"{field}:|" for field in NODE_FIELDS)
        sinfo = ("sinfo", "--noheader", "--Node", f"--Format={fields}")
        return (Command((*PLAIN, *(sdiag.BEHIND if self.cycle and self.cycle.interval else ()), *sinfo)),)

    def snapshot(self, nodes: Sequence[Completed], queue: Completed, at: datetime) -> LoadSnapshot:
        found: dict[str, list[NodeLoad]] = defaultdict(list)
        limits: dict[str, str] = {}
        open_for_jobs: dict[str, bool] = {}
        for row in _node_rows(nodes[0]):
            partition = row["PartitionName"]
            found[partition].append(_node(row))
            limits[partition], open_for_jobs[partition] = row["Time"], row["Available"] == "up"
        rows = _queue_rows(queue)
        working, lines_of = [row for row in rows if state_of(row.state) is JobState.RUNNING], _lines(rows)
        loads = {name: _load(name, tuple(members), working, lines_of, at) for name, members in found.items()}
        backfill = sdiag.backfill(nodes[0].stdout, self.cycle, at) if self.cycle else None
        with_limits = {
            name: replace(load, max_walltime=_limit(limits[name]), up=open_for_jobs[name], backfill=backfill)
            for name, load in loads.items()
        }
        return LoadSnapshot(taken_at=at, partitions=with_limits)

    # ---- usage

    def usage(self, ids: Sequence[str], word: str = "") -> Command:
        wanted = numbers(ids)
        if self.accounting == "scontrol":
            return Command((*PLAIN, "scontrol", "--oneliner", "show", "job", *(wanted if len(wanted) == 1 else ())))
        # Not --allocations: without the steps sacct reports the CPU time of every job as zero (sacct(1)). A job that was requeued
        # has a row for each of its runs, each with its own submission, and only --duplicates shows more than the last.
        return _sacct(word, f"--jobs={','.join(wanted)}")

    def usage_between(self, since: datetime, until: datetime, word: str = "") -> Command:
        """By the clock of `TZ=UTC`. Where there is no slurmdbd, all that slurmctld remembers."""
        if self.accounting == "scontrol":
            return Command((*PLAIN, "scontrol", "--oneliner", "show", "job"))
        return _sacct(word, "--allusers", f"--starttime={_utc(since)}", f"--endtime={_utc(until)}")

    def records(self, done: Completed) -> list[UsageRecord]:
        _check_asked(done)
        if _NO_SUCH_JOB.search(done.stderr):
            return []
        if done.code:
            raise Rejected(_words(done), hint=_accounting_hint(done))
        _check_whole(done)
        return (
            slurm_accounting.scontrol(done.stdout)
            if self.accounting == "scontrol"
            else slurm_accounting.sacct(done.stdout, _mark(done.command))
        )


# ---- what goes in


def _squeue(*options: str) -> Command:
    return Command((*PLAIN, "squeue", "--noheader", *options))


def _sacct(word: str, *which: str) -> Command:
    fields = f"--format={','.join(slurm_accounting.FIELDS)}"
    return Command((*PLAIN, "sacct", "--noheader", "--parsable2", "--duplicates", f"{DELIMITER}|{word}|", *which, fields))


def _utc(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


# ---- what comes out


def _check_asked(done: Completed) -> None:
    """Raises Unreachable where the answer means that the scheduler was not asked at all."""
    if done.code in (126, 127):
        raise Unreachable(f"Slurm's commands are not there: {_words(done)}")
    if done.code and _NOT_ASKED.search(done.stderr):
        raise Unreachable(f"Slurm could not be asked: {_words(done)}")


def _check_whole(done: Completed) -> None:
    if done.stdout and not done.stdout.endswith("\n"):
        raise Garbled(f"the answer breaks off: ...{short(done.stdout[-80:])!r}.")


def _squeue_answered(done: Completed) -> None:
    _check_asked(done)
    if done.code and not _NO_SUCH_JOB.search(done.stderr):
        raise Rejected(_words(done))
    _check_whole(done)


def _rows(done: Completed, fields: int) -> list[list[str]]:
    """The tagged rows of a squeue answer that holds nothing of strangers'; "no such job" is no rows."""
    _squeue_answered(done)
    rows = []
    for line in done.stdout.splitlines():
        if not line.startswith("J|"):
            continue
        parts = line.split("|")
        if len(parts) < fields + 2 or parts[-1] != "." or not parts[1].isdecimal():
            raise Garbled(f"squeue answered half a row: {short(line)!r}.")
        rows.append([*parts[1:fields], "|".join(parts[fields:-1])])
    return rows


def _queue_rows(done: Completed) -> list[Row]:
    """The rows of a look, without jobs of which there are two: nobody can say which of them is Slurm's. What begins like a row and
    is none is half of one."""
    _squeue_answered(done)
    rows, end = [], 0
    for match in _QUEUE_ROW.finditer(done.stdout):
        if match.start() != end:
            _check_between(done.stdout[end : match.start()])
        rows.append(Row._make(match.groups()))
        end = match.end()
    _check_between(done.stdout[end:])
    times = Counter([row.job for row in rows])
    return rows if len(times) == len(rows) else [row for row in rows if times[row.job] == 1]


def _check_between(text: str) -> None:
    """What stands between two rows, or behind the last: whole lines of others' words."""
    if half := next((line for line in text.splitlines() if line.startswith("J|")), ""):
        raise Garbled(f"squeue answered half a row: {short(half)!r}.")


def _node_rows(done: Completed) -> Iterable[dict[str, str]]:
    _check_asked(done)
    if done.code:
        raise Rejected(_words(done))
    _check_whole(done)
    for line in done.stdout.splitlines():
        parts = [part.strip() for part in line.split("|")]
        if len(parts) == 1:
            continue
        if len(parts) != len(NODE_FIELDS) + 1 or parts[-1]:
            raise Garbled(f"sinfo answered half a row: {short(line)!r}.")
        yield dict(zip(NODE_FIELDS, parts, strict=False))


def _accounting(done: Completed) -> str:
    if "accounting storage is disabled" in done.stderr:
        return "scontrol"
    _check_asked(done)
    return "sacct"


def _cycle(done: Completed) -> Cycle:
    """Who may not know the configuration is told nothing."""
    if done.code not in (126, 127):
        _check_asked(done)
    return sdiag.cycle(done.stdout)


def _node(row: Mapping[str, str]) -> NodeLoad:
    counts = row["CPUsState"].split("/")
    if len(counts) != 4:
        raise Garbled(f"sinfo: {row['CPUsState']!r} is not allocated/idle/other/total cores.")
    word = row["StateLong"].rstrip("*~#!%$@^-+")
    flags = row["StateLong"][len(word) :]
    gpus, model = gpus_of(row["Gres"])
    return NodeLoad(
        name=row["NodeList"], cores=number(counts[3]), cores_used=number(counts[0]), memory=number(row["Memory"]) * MIB,
        memory_used=number(row["AllocMem"]) * MIB, gpus=gpus, gpus_used=gpus_of(row["GresUsed"])[0], gpu_model=model,
        up=word in WORKING and not UNUSABLE_FLAGS.intersection(flags),
    )  # fmt: skip


def _status(row: Row, at: datetime, place: int) -> JobStatus:
    state = state_of(row.state)
    queued = state is JobState.QUEUED
    return JobStatus(
        state=state, seen_at=at, name=row.name.strip(), node="" if row.node == "n/a" else row.node, reason=_reason(row.state, row.reason),
        starts_at=time_of(row.start) if queued else None, place=place, hopeless=queued and row.reason in HOPELESS,
    )  # fmt: skip


def _load(name: str, nodes: tuple[NodeLoad, ...], working: Sequence[Row], lines_of: Mapping[str, list[Row]], at: datetime) -> PartitionLoad:
    """Of the rows that run, and those that wait by the partitions that they name."""
    running = _running(working, name, at)
    here = [line for whose, line in lines_of.items() if name in whose.split(",")]
    waiting = here[0] if len(here) == 1 else sorted((row for line in here for row in line), key=_turn)
    return PartitionLoad(
        name=name, nodes=nodes, queued_jobs=len(waiting), queued_cores=sum(number(row.cores) for row in waiting),
        running_jobs=len(running), running=tuple(running), waiting=tuple(_waiting(row) for row in waiting[:AHEAD]),
    )  # fmt: skip


def _lines(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """The queued jobs of each partition, or list of partitions, as they take their turn. What is held or hopeless stands in nobody's
    way."""
    waiting: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if state_of(row.state) is JobState.QUEUED and row.reason not in STANDS_ASIDE:
            waiting[row.partitions].append(row)
    return {partitions: sorted(line, key=_turn) for partitions, line in waiting.items()}


def _turn(row: Row) -> tuple[int, int]:
    return (-number(row.priority), int(row.job))


def _running(rows: Iterable[Row], partition: str, at: datetime) -> list[Booking]:
    """What of the rows that run does so there. A job without a limit, or whose start is not said, is taken to stay."""
    here = (row for row in rows if partition in row.partitions.split(","))
    return [
        Booking(
            ends_at=(time_of(row.start) or at) + (_limit(row.limit) or FOR_EVER),
            cores=number(row.cores),
            gpus=_gpus_of(row),
            nodes=_nodes_of(row),
            node="" if row.node == "n/a" else row.node,
        )
        for row in here
    ]


def _waiting(row: Row) -> Waiting:
    return Waiting(cores=number(row.cores), gpus=_gpus_of(row), nodes=_nodes_of(row), walltime=_limit(row.limit))


def _gpus_of(row: Row) -> int:
    """Of all its nodes: "gres/gpu:a100:2", of old "gres:gpu:2", is each node's."""
    if row.gres in ("N/A", "(null)", ""):
        return 0
    return gpus_of(row.gres.replace("gres:", "").replace("gres/", ""))[0] * _nodes_of(row)


def _nodes_of(row: Row) -> int:
    """A waiting job may say a range, "2-4"."""
    return max(number(row.nodes.split("-")[0]), 1)


def _mark(asked: Command) -> str:
    return next((word.removeprefix(DELIMITER) for word in asked.argv if word.startswith(DELIMITER)), "|")


def _reason(word: str, reason: str) -> str:
    said = "" if reason in ("None", "(null)") else reason
    return said or (word if word in TELLING or state_of(word) is JobState.UNKNOWN else "")


@lru_cache(maxsize=4096)  # users write few limits, and a long queue repeats them
def _limit(text: str) -> timedelta | None:
    try:
        return parse_walltime(text)
    except BadOption:
        return None  # "infinite", "n/a"


def _words(done: Completed) -> str:
    """What the scheduler said, without the names of its programs; repeated lines once."""
    said = lines(done.stderr) or lines(done.stdout)
    plain = (_PREFIX.sub("", line).removeprefix("Batch job submission failed: ") for line in said)
    return sentence((line for line in plain if not line.startswith("Try ")), done)


def _accounting_hint(done: Completed) -> str:
    return 'Set accounting = "scontrol" in its centre.toml.' if "accounting storage is disabled" in done.stderr else ""
