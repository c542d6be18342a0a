"""Reads Slurm's accounting: rows of sacct, or of scontrol without slurmdbd, and Slurm's words for states, times and
sizes.

Knows how each run of a job ended; `slurm` makes the query. A row that can't be read stops no other row: it becomes a
record that says so.
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
SUBMIT_LINE = "SubmitLine"  # queried if accounting does not track accelerators, and last: it may hold any text
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
# Why a run was over. A requeue by Slurm itself has a reason (NODE_FAIL, PREEMPTED); REQUEUED was requested by a person.
ENDINGS: Mapping[str, Ending] = {
    "COMPLETED": Ending.COMPLETED, "FAILED": Ending.FAILED, "TIMEOUT": Ending.TIMEOUT,
    "OUT_OF_MEMORY": Ending.OUT_OF_MEMORY, "DEADLINE": Ending.DEADLINE, "NODE_FAIL": Ending.NODE_FAILURE,
    "PREEMPTED": Ending.PREEMPTED, **dict.fromkeys(("CANCELLED", "REVOKED"), Ending.CANCELLED),
    **dict.fromkeys(("BOOT_FAIL", "LAUNCH_FAILED", "RECONFIG_FAIL"), Ending.BOOT_FAILURE),
}  # fmt: skip
# this run is over, the job is not
AGAIN = frozenset({"REQUEUED", "REQUEUED_CRON", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT"})

# A word before "=" in a row of scontrol. It begins where no other word continues: text of people may be one word of
# megabytes.
_FACT = re.compile(r"(?<![\w/:])([\w/:]+)=(\S*)")

# sbatch(1)
ASKING = (
    "--gres",
    "--gpus",
    "--gpus-per-node",
    "--gpus-per-task",
    "--gpus-per-socket",
    "--tres-per-task",
    "-G",
)


def sacct(stdout: str, mark: str, site: Site, fields: Sequence[str] = FIELDS) -> list[UsageRecord]:
    """Reads sacct's rows. Between fields is a mark of this query's own: a job's name may hold "|" and line ends, and
    thus whole forged rows. Returns the runs of one job in the order in which they began to wait."""
    runs: dict[str, list[UsageRecord]] = defaultdict(list)
    for line in stdout.split("\n"):
        # Of steps (12.batch) only the job's own row counts their CPU time.
        if mark in line and not re.match(r"\d+\.", line):
            record = _sacct_row(line, mark, site, fields)
            # without a start: slurmdbd got the first step before the start, so the record is incomplete
            if record.trouble or record.partition:
                runs[record.job_id].append(record)
    found = [record for job in runs.values() for record in _numbered(job)]
    if found and all(record.trouble and record.state is JobState.UNKNOWN for record in found):
        raise Garbled(f"No row in sacct's answer can be read: {found[0].trouble}")
    return found


def _numbered(runs: Sequence[UsageRecord]) -> list[UsageRecord]:
    """Numbers the runs under one job id, the oldest first. A cluster that lost its state assigns ids again: another
    name is another job."""
    before: Counter[str] = Counter()
    numbered = []
    for run in sorted(runs, key=lambda run: run.submitted_at or datetime.min.replace(tzinfo=UTC)):
        numbered.append(replace(run, restart=before[run.name]) if before[run.name] else run)
        before[run.name] += 1
    return numbered


def _sacct_row(line: str, mark: str, site: Site, fields: Sequence[str]) -> UsageRecord:
    """Makes the record of one row; a row that can't be read becomes a record that says so, so that it neither stops the
    other rows nor counts as no usage."""
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
        raise ValueError(f"{short(row['JobIDRaw'])!r} is not a job id")
    state, tres, kinds = state_of(row["State"]), _tres(row["AllocTRES"]), slurm_gres.parse(row["AllocTRES"])
    word = row["State"].split(" ")[0].rstrip("+")
    if word not in STATES:
        raise ValueError(f"{short(row['State'])!r} is not a known state")
    # AllocCPUS and Start are also set for a job that was cancelled while it waited. A job that was requeued within
    # seconds of its start, before slurmdbd got the start, has nodes and cores, but neither a start nor any time:
    # nothing to charge.
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
    """Returns why the GPUs of a run are unknown: it ran, asked for GPUs, and accounting does not track them. Its other
    values are valid."""
    asked = _asks_for(submitted, site.untracked) if site.untracked and record.started_at and not record.gpus else ""
    return f"it asked for {asked}, which accounting does not track. {_mend(site)}" if asked else ""


def _mend(site: Site) -> str:
    """Returns what the centre's admins must set."""
    return (
        f"Ask its centre to add {', '.join(f'gres/{name}' for name in site.untracked)} to AccountingStorageTRES in "
        "slurm.conf."
    )


def _asks_for(line: str, names: Sequence[str]) -> str:
    """Returns the option of a submission that asks for such accelerators; "" if there is none."""
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
    """Returns whether an option asks for accelerators: --gpus=2 and --gpus=a100:2 count Slurm's "gpu"; --gres and
    --tres-per-task name what they count."""
    named = value if option in ("--gres", "--tres-per-task") else f"gpu:{value}"
    try:
        return slurm_gres.total(slurm_gres.parse(named), names) > 0
    except ValueError:
        return True  # asked for in unknown words: not nothing


def _ending(word: str, ended_at: datetime | None) -> Ending | None:
    return Ending.REQUEUED if word in AGAIN and ended_at else ENDINGS.get(word)


def _by(state: str) -> str:
    """Returns the number of the account in "CANCELLED by 1000"."""
    match = re.match(r"CANCELLED by (\S+)", state)
    return match[1] if match else ""


def scontrol(stdout: str, mark: str, site: Site) -> list[UsageRecord]:
    """Reads scontrol's rows: the queried jobs, each by the first row under its mark."""
    told, end, _ = f"\n{stdout}".rpartition(f"\n{mark}: end\n")
    if not end:
        raise Garbled(f"scontrol's answer breaks off: ...{short(stdout[-80:])!r}.")
    _, *parts = re.split(rf"\n{re.escape(mark)}: (\d{{1,10}})(?=\n|$)", told, flags=re.ASCII)
    rows = (_first(text, f"JobId={job} ") for job, text in zip(parts[::2], parts[1::2], strict=True))
    found = [_scontrol_row(row, site) for row in rows if row]
    if found and all(record.trouble and record.state is JobState.UNKNOWN for record in found):
        raise Garbled(f"No row in scontrol's answer can be read: {found[0].trouble}")
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
        # The last occurrence loses: paths and comments, which people choose, follow the scheduler's own words.
        return _scontrol_run(match[1], match[2], dict(reversed(_FACT.findall(match[3]))), site)
    except (ValueError, OverflowError) as error:
        job = re.match(r"JobId=(\d*)", line)
        assert job
        return UsageRecord(
            job_id=job[1], name=match[2] if match else "", state=JobState.UNKNOWN, cores=0,
            trouble=f"scontrol's row {short(line)!r} can't be read: {error}.",
        )  # fmt: skip


def _scontrol_run(job: str, name: str, facts: Mapping[str, str], site: Site) -> UsageRecord:
    """Makes the record of a row. TRES names the allocated resources, since 23.11 as AllocTRES; if it names no
    accelerators, the requested ones count."""
    word, given = facts.get("JobState", ""), facts.get("AllocTRES") or facts.get("TRES", "")
    state, tres, kinds = state_of(word), _tres(given), slurm_gres.parse(given)
    if state is JobState.UNKNOWN:
        raise ValueError(f"{short(word)!r} is not a known state")
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


@lru_cache(maxsize=1024)  # a long queue has the same words a hundred thousand times
def state_of(word: str) -> JobState:
    """Returns the state for the last of a base and its flags ("COMPLETED,COMPLETING"); in a single word Slurm also
    prints the flag instead of the base."""
    said = [STATES.get(part, JobState.UNKNOWN) for part in word.split(" ")[0].rstrip("+").split(",")]
    return JobState.UNKNOWN if JobState.UNKNOWN in said else said[-1]


def _tres(text: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in text.split(",") if "=" in pair)


def _count(text: str, field: str) -> int:
    """Returns a number that is charged for. Raises ValueError for "-5" or "nan": no usage is "0"."""
    if not re.fullmatch(r"\d{1,15}", text, re.ASCII):
        raise ValueError(f"its {field} is {short(text)!r}, not a whole number")
    return int(text)


def _memory(text: str, cores: int = 1, nodes: int = 1) -> int:
    """Returns the bytes in Slurm's "500M", "62.50G", and in its older "4Gn" for each node and "4Gc" for each core; 0 if
    it has no value. A bare number is MiB."""
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
    """Returns Slurm's [[days-]hours:]minutes:seconds[.fraction], with any number of days; zero for "Partition_Limit",
    "INVALID" and the like."""
    match = re.fullmatch(r"(?:(?:(\d{1,6})-)?(\d{1,9}):)?(\d{1,9}):(\d{1,9}(?:\.\d{1,9})?)", text, re.ASCII)
    if not match:
        return timedelta()
    days, hours, minutes, seconds = match.groups()
    return timedelta(days=int(days or 0), hours=int(hours or 0), minutes=int(minutes), seconds=float(seconds))
