"""The dialect of Slurm: sbatch, squeue, scancel, sinfo with sdiag, sacct (or scontrol), each a builder and its parser.

Knows Slurm 20.11 and later, its states, units and messages; knows neither people nor transports. Times are queried as
seconds since 1970 (`SLURM_TIME_FORMAT=%s`), so no time zone or locale of a centre matters. Rows of squeue carry a tag
and an end mark: a banner between them is not a row, and an incomplete row is `Garbled`.
"""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from ...errors import Garbled, Rejected, SpecError
from ...units import format_walltime
from ..commands import Command, Completed
from ..jobs import JobSpec, JobState, JobStatus, LoadSnapshot, NodeLoad, UsageRecord
from . import slurm_accounting, slurm_arrays, slurm_backfill, slurm_gres, slurm_queue, slurm_site
from .command_checks import check, check_name, each, lines, number, numbers, short
from .slurm_accounting import state_of, time_of
from .slurm_answers import (
    JOB,
    NO_SUCH_JOB,
    NODE_FIELDS,
    accounting_hint,
    accounting_of,
    check_asked,
    check_whole,
    node_rows,
    queue_of,
    tagged_rows,
    told_text,
    words_of,
)
from .slurm_backfill import Cycle
from .slurm_nodes import takes_jobs
from .slurm_queue import Row
from .slurm_site import Site

MIB = 2**20
# An account's own settings that leave jobs out, or print one twice: a job that `find` does not see would be submitted
# again (squeue(1), sinfo(1), ENVIRONMENT VARIABLES; options override the others).
FILTERS = (
    *(
        "SQUEUE_ACCOUNT",
        "SQUEUE_ARRAY",
        "SQUEUE_ARRAY_UNIQUE",
        "SQUEUE_LICENSES",
        "SQUEUE_NAMES",
        "SQUEUE_PARTITION",
        "SQUEUE_PRIORITY",
    ),
    *("SQUEUE_QOS", "SQUEUE_SIB", "SQUEUE_SIBLING", "SQUEUE_USERS", "SINFO_PARTITION"),
)
PLAIN = ("env", *(f"--unset={name}" for name in FILTERS), "SLURM_TIME_FORMAT=%s", "TZ=UTC", "LC_ALL=C")
FIND_FORMAT = "J|%A|%T|."


# The longest expression of an array in a look; without it squeue cuts them after 64 bytes.
WHOLE_ARRAYS = f"SLURM_BITSTR_LEN={slurm_arrays.WIDTH}"
# sinfo(1), AVAIL
PARTITION_STATES = frozenset(
    f"partition state {word!r}" for word in ("up", "down", "drain", "inact", "inactive", "n/a")
)
DELIMITER, FORMAT = "--delimiter=", "--format="
LOOK_BACK = "now-7days"
# Each job alone, under a mark of this query's own: in a list of all jobs, text of another user (a comment with line
# ends) could look like the row of a job of ours. Single lines, because a login shell may be csh.
SHOW = (
    'mark=$1; shift; for job do echo "$mark: $job"; said=$(scontrol --oneliner show job "$job" 2>&1) || { code=$?; '
    'case $said in *"nvalid job id specified"*) continue;; esac; printf "%s\\n" "$said" >&2; exit $code; }; '
    'printf "%s\\n" "$said"; done; echo "$mark: end"'
)
OURS = (
    'jobs=$(squeue --noheader --states=all --format="%A %j") || exit; '
    'set -- "$1" $(printf "%s\\n" "$jobs" | sed -n "s/^\\([0-9][0-9]*\\) scnet-.*/\\1/p" | sort -u); '
)

TELLING = frozenset(
    {"TIMEOUT", "OUT_OF_MEMORY", "DEADLINE", "NODE_FAIL", "BOOT_FAIL", "PREEMPTED", "SUSPENDED", "REVOKED"}
)


class Slurm:
    """`accounting` is where ended jobs are looked up: "sacct", or "scontrol" on a cluster that has no slurmdbd (then
    CPU time is unknown, and `MinJobAge` in slurm.conf limits how long a job can still be charged); "" probes for it.
    `cycle` describes how often backfill looks for holes and `site` what the installation counts; None probes for them.
    `accelerators` are the gres that count as GPUs, as named on the centre's page (empty: found by the probe)."""

    def __init__(
        self,
        accounting: str = "",
        cycle: Cycle | None = None,
        site: Site | None = None,
        *,
        accelerators: Sequence[str] = (),
    ) -> None:
        if accounting not in ("", "sacct", "scontrol"):
            raise SpecError(f"Unknown accounting {accounting!r}.", hint="Known for Slurm: sacct, scontrol.")
        self.accounting, self.cycle, self.accelerators = accounting, cycle, tuple(accelerators)
        self._asked, self.site = site is not None, site or Site(accelerators=self.accelerators or ("gpu",))

    # ---- probe

    def probe(self) -> tuple[Command, ...]:
        sacct = () if self.accounting else (Command((*PLAIN, "sacct", "--noheader", "--jobs=1", "--format=JobIDRaw")),)
        config = Command((*PLAIN, "scontrol", "show", "config"))
        return (*sacct, *(() if self.cycle and self._asked else (config, Command((*PLAIN, *slurm_site.SINFO)))))

    def probed(self, done: Sequence[Completed]) -> Slurm:
        accounting = self.accounting or accounting_of(done[0])
        if self.cycle and self._asked:
            return Slurm(accounting, self.cycle, self.site, accelerators=self.accelerators)
        config, nodes = (told_text(answer) for answer in done[-2:])
        site = slurm_site.site(config, nodes, self.accelerators)
        return Slurm(accounting, self.cycle or slurm_backfill.cycle(config), site, accelerators=self.accelerators)

    # ---- submit

    def submit(self, spec: JobSpec) -> Command:
        """Builds the submission. Options are arguments, not directives: the environment's SBATCH_* can't override them,
        and no quoting of `#SBATCH` lines can be broken. No `env` before it: sbatch passes its environment on to the
        job. Raises BadOption."""
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
            "gres": self._gres(spec, nodes) if spec.gpus else "",
            "output": spec.output.replace("%", "%%"),
            "chdir": spec.directory,
        }
        given = tuple(f"--{name}={value}" for name, value in options.items() if value)
        script = f"#!/bin/bash\nexec {shlex.join(spec.argv)}\n"
        return Command(("sbatch", "--parsable", "--no-requeue", *given), script.encode())

    def _gres(self, spec: JobSpec, nodes: int) -> str:
        name = self.site.accelerator(spec.partition, spec.gpu_model)
        return ":".join(filter(None, (name, spec.gpu_model, f"{each(spec.gpus, nodes)}")))

    def submitted(self, done: Completed) -> str:
        check_asked(done)
        if done.code:
            raise Rejected(words_of(done))
        for line in reversed(lines(done.stdout)):
            if match := re.fullmatch(r"\s*(\d{1,10})(?:;[\w.-]*)?\s*", line, re.ASCII):
                return match[1]
        raise Garbled(f"sbatch answered without a job id: {short(done.stdout)!r}.")

    # ---- find, cancel

    def find(self, name: str) -> Command:
        check_name("name", name)
        return _squeue("--me", "--states=all", f"--name={name}", f"--format={FIND_FORMAT}")

    def found(self, done: Completed) -> str | None:
        rows = [(state_of(word).ended, -int(job), job) for job, word in tagged_rows(done, 2)]
        return min(rows)[2] if rows else None

    def remembered(self, name: str) -> Command | None:
        """Queries accounting: squeue forgets a job MinJobAge (300 s) after its end."""
        check_name("name", name)
        asked = (
            "sacct",
            "--noheader",
            "--parsable2",
            "--allocations",
            f"--name={name}",
            f"--starttime={LOOK_BACK}",
            "--format=JobIDRaw",
        )
        return Command((*PLAIN, *asked)) if self.accounting == "sacct" else None

    def recalled(self, done: Completed) -> str | None:
        check_asked(done)
        if done.code:
            raise Rejected(words_of(done), hint=accounting_hint(done))
        check_whole(done)
        return max(filter(JOB.fullmatch, done.stdout.splitlines()), key=int, default=None)

    def cancel(self, ids: Sequence[str]) -> Command:
        return Command((*PLAIN, "scancel", "--quiet", *numbers(ids)))

    def cancelled(self, done: Completed) -> None:
        check_asked(done)
        complaints = [line for line in done.stderr.splitlines() if line.strip() and not NO_SUCH_JOB.search(line)]
        if done.code and (complaints or not done.stderr.strip()):
            raise Rejected(words_of(done))

    # ---- look

    def queue(self) -> Command:
        return Command((*PLAIN, WHOLE_ARRAYS, "squeue", "--noheader", "--states=all", f"--Format={slurm_queue.FORMAT}"))

    def statuses(self, done: Completed, at: datetime) -> dict[str, JobStatus]:
        rows, waits = done.read(queue_of)
        places = slurm_queue.places(waits)
        return {row.job: _status(row, at, places.get(row.job, 0)) for row in rows}

    def nodes(self) -> tuple[Command, ...]:
        fields = ",".join(f"{field}:|" for field in NODE_FIELDS)
        sinfo = ("sinfo", "--noheader", "--Node", f"--Format={fields}")
        return (Command((*PLAIN, *(slurm_backfill.BEHIND if self.cycle and self.cycle.interval else ()), *sinfo)),)

    def snapshot(self, nodes: Sequence[Completed], queue: Completed, at: datetime) -> LoadSnapshot:
        found: dict[str, list[NodeLoad]] = defaultdict(list)
        limits: dict[str, str] = {}
        open_for_jobs: dict[str, bool] = {}
        strange: set[str] = set()
        names = self.site.accelerators
        for row in node_rows(nodes[0]):
            partition = row["PartitionName"]
            found[partition].append(_node(row, names))
            limits[partition], open_for_jobs[partition] = row["Time"], row["Available"] == "up"
            strange |= {f"partition state {short(row['Available'])!r}"} - PARTITION_STATES
            strange |= {f"node state {short(row['StateLong'])!r}"} if takes_jobs(row["StateLong"]) is None else set()
        rows, waits = queue.read(queue_of)
        working, lines_of = slurm_queue.working(rows), slurm_queue.shared(waits)
        loads = {
            name: slurm_queue.load(name, tuple(members), working.get(name, ()), lines_of.get(name, ()), at, names)
            for name, members in found.items()
        }
        backfill = slurm_backfill.backfill(nodes[0].stdout, self.cycle, at) if self.cycle else None
        complete = {
            name: replace(
                load, max_walltime=slurm_queue.limit_of(limits[name]), up=open_for_jobs[name], backfill=backfill,
                keeps_nodes=bool(self.cycle and self.cycle.interval),
                core_unit=self.site.portion(name).core_unit, node_gpus=self.site.portion(name).node_gpus,
            )
            for name, load in loads.items()
        }  # fmt: skip
        strange |= {
            f"job state {short(word)!r}" for word in {row.state for row in rows} if state_of(word) is JobState.UNKNOWN
        }
        untracked = self.site.untracked if self.accounting == "sacct" else ()  # the controller answers just the query
        return LoadSnapshot(taken_at=at, partitions=complete, strange=tuple(sorted(strange)), untracked=untracked)

    # ---- usage

    def usage(self, ids: Sequence[str], word: str = "") -> Command:
        wanted = numbers(ids)
        if self.accounting == "scontrol":
            return Command((*PLAIN, "sh", "-c", SHOW, "sh", word, *wanted))
        # Not --allocations: without the steps sacct reports the CPU time of every job as zero (sacct(1)). A requeued
        # job has a row for each of its runs, each with its own submission, and only --duplicates shows more than the
        # last.
        return self._sacct(word, f"--jobs={','.join(wanted)}")

    def usage_between(self, since: datetime, until: datetime, word: str = "") -> Command:
        """Queries by the clock of `TZ=UTC`. Without slurmdbd, all of the federation's jobs that slurmctld remembers."""
        if self.accounting == "scontrol":
            return Command((*PLAIN, "sh", "-c", OURS + SHOW, "sh", word))
        return self._sacct(word, "--allusers", f"--starttime={_utc(since)}", f"--endtime={_utc(until)}")

    def _sacct(self, word: str, *which: str) -> Command:
        told = (slurm_accounting.SUBMIT_LINE,) if self.site.untracked and self.site.submit_line else ()
        fields = f"{FORMAT}{','.join((*slurm_accounting.FIELDS, *told))}"
        return Command(
            (*PLAIN, "sacct", "--noheader", "--parsable2", "--duplicates", f"{DELIMITER}|{word}|", *which, fields)
        )

    def records(self, done: Completed) -> list[UsageRecord]:
        check_asked(done)
        if done.code:
            raise Rejected(words_of(done), hint=accounting_hint(done))
        check_whole(done)
        return (
            slurm_accounting.scontrol(done.stdout, _word(done.command), self.site)
            if self.accounting == "scontrol"
            else slurm_accounting.sacct(done.stdout, _mark(done.command), self.site, _fields(done.command))
        )


# ---- what goes in


def _squeue(*options: str) -> Command:
    return Command((*PLAIN, "squeue", "--noheader", *options))


def _utc(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


# ---- what comes out


def _node(row: Mapping[str, str], accelerators: tuple[str, ...]) -> NodeLoad:
    counts = row["CPUsState"].split("/")
    if len(counts) != 4:
        raise Garbled(f"sinfo: {row['CPUsState']!r} is not allocated/idle/other/total cores.")
    there, taken = slurm_gres.parse(row["Gres"]), slurm_gres.parse(row["GresUsed"])
    return NodeLoad(
        name=row["NodeList"], cores=number(counts[3]), cores_used=number(counts[0]), memory=number(row["Memory"]) * MIB,
        memory_used=number(row["AllocMem"]) * MIB, gpus=slurm_gres.total(there, accelerators),
        gpus_used=slurm_gres.total(taken, accelerators), gpu_model=slurm_gres.model_of(there, accelerators),
        up=takes_jobs(row["StateLong"]) is True,
    )  # fmt: skip


def _status(row: Row, at: datetime, place: int) -> JobStatus:
    state = state_of(row.state)
    queued = state is JobState.QUEUED
    return JobStatus(
        state=state, seen_at=at, name=row.name.strip(), node="" if row.node == "n/a" else row.node,
        reason=_reason(row.state, row.reason), starts_at=time_of(row.start) if queued else None, place=place,
        hopeless=queued and row.reason in slurm_queue.HOPELESS,
    )  # fmt: skip


def _mark(asked: Command) -> str:
    return next((word.removeprefix(DELIMITER) for word in asked.argv if word.startswith(DELIMITER)), "|")


def _word(asked: Command) -> str:
    """Returns the mark of `SHOW`."""
    return next((asked.argv[place + 2] for place, text in enumerate(asked.argv) if text.endswith(SHOW)), "")


def _fields(asked: Command) -> Sequence[str]:
    """Returns the fields in the order of the query."""
    return next(
        (word.removeprefix(FORMAT).split(",") for word in asked.argv if word.startswith(FORMAT)),
        slurm_accounting.FIELDS,
    )


def _reason(word: str, reason: str) -> str:
    said = "" if reason in ("None", "(null)") else reason
    return said or (word if word in TELLING or state_of(word) is JobState.UNKNOWN else "")
