"""What Slurm's accounting says: rows of sacct, or of scontrol where there is no slurmdbd, and Slurm's words for states,
times and sizes.

Knows how each run of a job ended, and nothing of how the question is asked: that is `slurm`'s. One row that can't be
read stops no other: it becomes a record that says so.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from ...errors import Garbled
from ...units import parse_memory
from ..jobs import Ending, JobState, UsageRecord
from . import slurm_gres
from .command_checks import moment, number, short
from .slurm_hosts import first_host
from .slurm_site import Site

FIELDS = (
    "JobIDRaw", "State", "AllocCPUS", "AllocTRES", "ReqMem", "Submit", "Start", "End", "ElapsedRaw", "TotalCPU",
    "NodeList", "ExitCode", "Partition", "JobName",
)  # fmt: skip
SUBMIT_LINE = "SubmitLine"  # asked for where accounting does not tell of accelerators, and last: it may hold anything
STATES: Mapping[str, JobState] = {
    **dict.fromkeys(
        (
            "PENDING",
            "CONFIGURING",
            "REQUEUED",
            "REQUEUED_CRON",
            "REQUEUE_HOLD",
            "REQUEUE_FED",
            "RESV_DEL_HOLD",
            "SPECIAL_EXIT",
            "POWER_UP_NODE",
            "EXPEDITING",
        ),
        JobState.QUEUED,
    ),
    **dict.fromkeys(
        ("RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING"), JobState.RUNNING
    ),
    "COMPLETED": JobState.COMPLETED,
    **dict.fromkeys(
        ("FAILED", "TIMEOUT", "OUT_OF_MEMORY", "DEADLINE", "LAUNCH_FAILED", "RECONFIG_FAIL"), JobState.FAILED
    ),
    **dict.fromkeys(("CANCELLED", "REVOKED"), JobState.CANCELLED),
    **dict.fromkeys(("NODE_FAIL", "BOOT_FAIL", "PREEMPTED"), JobState.LOST),
}
# Why a run was over. A requeue that Slurm decides on itself says why (NODE_FAIL, PREEMPTED); REQUEUED is somebody's
# wish.
ENDINGS: Mapping[str, Ending] = {
    "COMPLETED": Ending.COMPLETED, "FAILED": Ending.FAILED, "TIMEOUT": Ending.TIMEOUT,
    "OUT_OF_MEMORY": Ending.OUT_OF_MEMORY, "DEADLINE": Ending.DEADLINE, "NODE_FAIL": Ending.NODE_FAILURE,
    "PREEMPTED": Ending.PREEMPTED, **dict.fromkeys(("CANCELLED", "REVOKED"), Ending.CANCELLED),
    **dict.fromkeys(("BOOT_FAIL", "LAUNCH_FAILED", "RECONFIG_FAIL"), Ending.BOOT_FAILURE),
}  # fmt: skip
AGAIN = frozenset(
    {"REQUEUED", "REQUEUED_CRON", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT"}
)  # this run is over, the job is not

# A word before "=" in a row of scontrol. It begins where no other goes on: what people wrote may be one word of
# megabytes.
_FACT = re.compile(r"(?<![\w/:])([\w/:]+)=(\S*)")

ASKING = (
    "--gres",
    "--gpus",
    "--gpus-per-node",
    "--gpus-per-task",
    "--gpus-per-socket",
    "--tres-per-task",
    "-G",
)  # sbatch(1)


def sacct(stdout: str, mark: str, site: Site, fields: Sequence[str] = FIELDS) -> list[UsageRecord]:
    """Between fields stands a mark of this question's own: a job's name may hold "|" and line ends, and so whole rows
    of others' jobs. The runs of one job in the order in which they began to wait."""
    runs: dict[str, list[UsageRecord]] = defaultdict(list)
    for line in stdout.split("\n"):
        # Of steps (12.batch) only the job's own row counts them.
        if mark in line and not re.match(r"\d+\.", line):
            record = _sacct_row(line, mark, site, fields)
            if (
                record.trouble or record.partition
            ):  # without: slurmdbd was told the first step before the start, half a record
                runs[record.job_id].append(record)
    found = [record for job in runs.values() for record in _numbered(job)]
    if found and all(record.trouble and record.state is JobState.UNKNOWN for record in found):
        raise Garbled(f"sacct answered nothing that can be read: {found[0].trouble}")
    return found


def _numbered(runs: Sequence[UsageRecord]) -> list[UsageRecord]:
    """Runs under one job id, the oldest first. A cluster that lost its state gives ids out again: another name is
    another job."""
    before: Counter[str] = Counter()
    numbered = []
    for run in sorted(runs, key=lambda run: run.submitted_at or datetime.min.replace(tzinfo=UTC)):
        numbered.append(replace(run, restart=before[run.name]) if before[run.name] else run)
        before[run.name] += 1
    return numbered


def _sacct_row(line: str, mark: str, site: Site, fields: Sequence[str]) -> UsageRecord:
    """One row; what can't be read is said, so that it neither stops the other rows nor passes for nothing used."""
    parts = line.split(mark, len(fields) - 1)
    row = dict(zip(fields, parts, strict=False))
    try:
        if len(parts) < len(FIELDS):
            raise ValueError(f"it has {len(parts)} of {len(FIELDS)} fields")
        record = _sacct_run(row, site)
        return replace(record, trouble=_untold(record, row.get(SUBMIT_LINE, ""), site))
    except (ValueError, OverflowError) as error:
        job = re.match(r"\d*", row["JobIDRaw"])
        assert job
        return UsageRecord(
            job_id=job[0], name=row.get("JobName", ""), state=JobState.UNKNOWN, cores=0, state_raw=row.get("State", ""),
            trouble=f"sacct's row {short(line.replace(mark, '|'))!r} can't be read: {error}.",
        )  # fmt: skip


def _sacct_run(row: Mapping[str, str], site: Site) -> UsageRecord:
    if not re.fullmatch(r"\d{1,10}", row["JobIDRaw"], re.ASCII):
        raise ValueError(f"{short(row['JobIDRaw'])!r} is no job id")
    state, tres, kinds = state_of(row["State"]), _tres(row["AllocTRES"]), slurm_gres.parse(row["AllocTRES"])
    word = row["State"].split(" ")[0].rstrip("+")
    if word not in STATES:
        raise ValueError(f"{short(row['State'])!r} is no state that is known")
    # AllocCPUS and Start are also set for a job cancelled while it waited. One that was requeued within seconds of its
    # start, before slurmdbd was told of that, has nodes and cores, but neither a start nor any time: nothing that could
    # be charged.
    started = not row["NodeList"].startswith("None") and (row["Start"], row["ElapsedRaw"]) != ("None", "0")
    cores, ended_at = _count(row["AllocCPUS"], "AllocCPUS"), time_of(row["End"])
    return UsageRecord(
        job_id=row["JobIDRaw"], name=row["JobName"], state=state, cores=cores if started else 0,
        gpus=slurm_gres.total(kinds, site.accelerators) if started else 0,
        gpu_models=slurm_gres.models(kinds, site.accelerators) if started else (),
        memory=_memory(tres.get("mem") or row["ReqMem"], cores, number(tres.get("node", ""))),
        submitted_at=time_of(row["Submit"]), started_at=time_of(row["Start"]) if started else None,
        ended_at=ended_at if state.ended or word in AGAIN else None,
        elapsed=timedelta(seconds=_count(row["ElapsedRaw"], "ElapsedRaw")) if started else timedelta(),
        cpu=_duration(row["TotalCPU"]), node=first_host(row["NodeList"]) if started else "", exit_code=row["ExitCode"],
        partition=row["Partition"], ending=_ending(word, ended_at), ended_by=_by(row["State"]), state_raw=row["State"],
    )  # fmt: skip


def _untold(record: UsageRecord, submitted: str, site: Site) -> str:
    """Why its GPUs are not known: it ran, asked for some, and accounting does not track them. What else is said of it
    holds."""
    asked = _asks_for(submitted, site.untracked) if site.untracked and record.started_at and not record.gpus else ""
    return f"it asked for {asked}, and accounting does not track that. {_mend(site)}" if asked else ""


def _mend(site: Site) -> str:
    """What the centre's admins are to set."""
    return (
        f"Its centre adds {', '.join(f'gres/{name}' for name in site.untracked)} to AccountingStorageTRES in "
        "slurm.conf."
    )


def _asks_for(line: str, names: Sequence[str]) -> str:
    """The option of a submission that asks for such accelerators; "" if there is none."""
    try:
        words = shlex.split(line)
    except ValueError:
        words = line.split()
    for word, following in zip(words, [*words[1:], ""], strict=False):
        option, equals, value = word.partition("=")
        if word.startswith("-G") and len(word) > 2:
            option, equals, value = "-G", "=", word[2:]
        if option in ASKING and _some(option, value if equals else following, tuple(names)):
            return f"{option}={short(value if equals else following)}"
    return ""


def _some(option: str, value: str, names: tuple[str, ...]) -> bool:
    """--gpus=2 and --gpus=a100:2 count Slurm's "gpu"; --gres and --tres-per-task name what they count."""
    named = value if option in ("--gres", "--tres-per-task") else f"gpu:{value}"
    try:
        return slurm_gres.total(slurm_gres.parse(named), names) > 0
    except ValueError:
        return True  # asked for in words that are not known: not nothing


def _ending(word: str, ended_at: datetime | None) -> Ending | None:
    return Ending.REQUEUED if word in AGAIN and ended_at else ENDINGS.get(word)


def _by(state: str) -> str:
    """The number of the account in "CANCELLED by 1000"."""
    match = re.match(r"CANCELLED by (\S+)", state)
    return match[1] if match else ""


def scontrol(stdout: str, mark: str, site: Site) -> list[UsageRecord]:
    """The jobs that were asked for, each by the first row under its mark."""
    told, end, _ = f"\n{stdout}".rpartition(f"\n{mark}: end\n")
    if not end:
        raise Garbled(f"scontrol's answer breaks off: ...{short(stdout[-80:])!r}.")
    _, *parts = re.split(rf"\n{re.escape(mark)}: (\d{{1,10}})(?=\n|$)", told, flags=re.ASCII)
    rows = (_first(text, f"JobId={job} ") for job, text in zip(parts[::2], parts[1::2], strict=True))
    found = [_scontrol_row(row, site) for row in rows if row]
    if found and all(record.trouble and record.state is JobState.UNKNOWN for record in found):
        raise Garbled(f"scontrol answered nothing that can be read: {found[0].trouble}")
    return found


def _first(text: str, beginning: str) -> str:
    return next((line for line in text.split("\n") if line.startswith(beginning)), "")


def _scontrol_row(line: str, site: Site) -> UsageRecord:
    match = re.match(r"JobId=(\d+) (?:\w+=\S+ )*?JobName=(.*?) UserId=(.*)", line)
    try:
        if not match:
            raise ValueError("it has no id, name and owner")
        if line.count(" UserId=") > 1:  # a person may write facts into the name of their own job
            raise ValueError("it has two owners")
        # The last occurrence loses: paths and comments, which people choose, come after the scheduler's own words.
        return _scontrol_run(match[1], match[2], dict(reversed(_FACT.findall(match[3]))), site)
    except (ValueError, OverflowError) as error:
        job = re.match(r"JobId=(\d*)", line)
        assert job
        return UsageRecord(
            job_id=job[1], name=match[2] if match else "", state=JobState.UNKNOWN, cores=0,
            trouble=f"scontrol's row {short(line)!r} can't be read: {error}.",
        )  # fmt: skip


def _scontrol_run(job: str, name: str, facts: Mapping[str, str], site: Site) -> UsageRecord:
    """TRES names what was allocated, since 23.11 as AllocTRES; where it tells of no accelerators, what was asked for is
    what there is."""
    word, given = facts.get("JobState", ""), facts.get("AllocTRES") or facts.get("TRES", "")
    state, tres, kinds = state_of(word), _tres(given), slurm_gres.parse(given)
    if state is JobState.UNKNOWN:
        raise ValueError(f"{short(word)!r} is no state that is known")
    started = bool(facts.get("BatchHost")) or facts.get("NodeList", "") not in ("", "(null)")
    cores, nodes = (_count(facts.get(key, "0").split("-")[0], key) for key in ("NumCPUs", "NumNodes"))
    asked = (facts.get(key, "") for key in ("TresPerNode", "TresPerJob", "TresPerTask", "TresPerSocket"))
    tasks = number(facts.get("NumTasks", ""))
    gpus = slurm_gres.total(kinds, site.accelerators) or slurm_gres.asked(
        *asked, nodes=max(nodes, 1), tasks=tasks, names=site.accelerators
    )
    ended_at = time_of(facts.get("EndTime", ""))
    return UsageRecord(
        job_id=job, name=name, state=state, cores=cores if started else 0, gpus=gpus if started else 0,
        gpu_models=slurm_gres.models(kinds, site.accelerators) if started else (), memory=_memory(tres.get("mem", "")),
        submitted_at=time_of(facts.get("SubmitTime", "")),
        started_at=time_of(facts.get("StartTime", "")) if started else None, ended_at=ended_at if state.ended else None,
        elapsed=_duration(facts.get("RunTime", "")) if started else timedelta(),
        node=facts.get("BatchHost", "") if started else "", exit_code=facts.get("ExitCode", ""),
        partition=facts.get("Partition", ""), restart=number(facts.get("Restarts", "")),
        ending=ENDINGS.get(word) if state.ended else None, state_raw=word,
    )  # fmt: skip


# ---- words


@lru_cache(maxsize=1024)  # a long queue says the same words a hundred thousand times
def state_of(word: str) -> JobState:
    """By the last of a base and its flags ("COMPLETED,COMPLETING"), which Slurm too prints instead of the base where it
    prints one word."""
    said = [STATES.get(part, JobState.UNKNOWN) for part in word.split(" ")[0].rstrip("+").split(",")]
    return JobState.UNKNOWN if JobState.UNKNOWN in said else said[-1]


def _tres(text: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in text.split(",") if "=" in pair)


def _count(text: str, field: str) -> int:
    """A number that is charged for. Raises ValueError for "-5" or "nan": nothing used is "0"."""
    if not re.fullmatch(r"\d{1,15}", text, re.ASCII):
        raise ValueError(f"its {field} is {short(text)!r}, no whole number")
    return int(text)


def _memory(text: str, cores: int = 1, nodes: int = 1) -> int:
    """Bytes in Slurm's "500M", "62.50G", and of old "4Gn" of each node and "4Gc" of each core; 0 where it says nothing.
    A bare number is MiB."""
    match = re.fullmatch(r"(\d{1,15}(?:\.\d{1,6})?)([KMGTPE]?)([nc]?)", text, re.ASCII)
    if not match:
        return 0
    size, unit, of = match.groups()
    beyond = {"P": 1024, "E": 1024**2}.get(unit, 1)
    return (
        parse_memory(f"{size}{unit or 'M'}" if beyond == 1 else f"{size}T")
        * beyond
        * max({"n": nodes, "c": cores}.get(of, 1), 1)
    )


@lru_cache(maxsize=4096)
def time_of(text: str) -> datetime | None:
    if text.isdecimal():
        return moment(number(text))
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        return None  # "Unknown", "N/A", "None"


def _duration(text: str) -> timedelta:
    """Slurm's [[days-]hours:]minutes:seconds[.fraction], of any number of days; zero for "Partition_Limit", "INVALID"
    and the like."""
    match = re.fullmatch(r"(?:(?:(\d{1,6})-)?(\d{1,9}):)?(\d{1,9}):(\d{1,9}(?:\.\d{1,9})?)", text, re.ASCII)
    if not match:
        return timedelta()
    days, hours, minutes, seconds = match.groups()
    return timedelta(days=int(days or 0), hours=int(hours or 0), minutes=int(minutes), seconds=float(seconds))
