"""The faces of an embedded centre: argv of sbatch, squeue, scancel, sinfo, sacct, scontrol → what they print.

Knows Slurm 22.05's options, words and exit codes for the subset that stock tools use; the daemon behind `Controller` does
the work. An option that is not here is refused as Slurm refuses an unknown one.
"""

from __future__ import annotations

import getopt
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from .listing import (
    JOB_FIELDS,
    NODE_FIELDS,
    STANDARD,
    Moment,
    NodeRow,
    clock,
    columns,
    cpu_clock,
    hosts,
    long_clock,
    long_columns,
    megabytes,
    nodes_of,
    padded,
    shown_state,
)  # fmt: skip
from .queue import Job, Node, left_of
from .settings import Settings
from .submission import Complaint, Submission, Where, options_of, submission, unknown_option

VERSION = "slurm-wlm 22.05.8"
STATES = (
    "PENDING,RUNNING,SUSPENDED,COMPLETED,CANCELLED,FAILED,TIMEOUT,NODE_FAIL,PREEMPTED,BOOT_FAIL,DEADLINE,OUT_OF_MEMORY,COMPLETING,"
    "CONFIGURING,RESIZING,RESV_DEL_HOLD,REQUEUED,REQUEUE_FED,REQUEUE_HOLD,REVOKED,SIGNALING,SPECIAL_EXIT,STAGE_OUT,STOPPED"
)
STATE_LETTERS = {"PD": "PENDING", "R": "RUNNING", "CG": "COMPLETING", "CD": "COMPLETED", "CA": "CANCELLED", "F": "FAILED", "TO": "TIMEOUT"}
SQUEUE_FORMAT = "%.18i %.9P %.8j %.8u %.2t %.10M %.6D %R"
SQUEUE_TITLES = {"i": "JOBID", "P": "PARTITION", "j": "NAME", "u": "USER", "t": "ST", "M": "TIME", "D": "NODES", "R": "NODELIST(REASON)"}
NO_SUCH_JOB = "slurm_load_jobs error: Invalid job id specified\n"


@dataclass(frozen=True, slots=True)
class Question:
    """A command as it arrived. `stdin` None: not sent yet, ask for it where it is needed."""

    argv: tuple[str, ...]
    stdin: str | None
    directory: str
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the command prints, and its exit code; code None asks for the standard input first."""

    code: int | None
    stdout: str = ""
    stderr: str = ""


class Controller(Protocol):
    """What the faces ask of the daemon."""

    settings: Settings
    nodes: list[Node]
    user: str

    def now(self) -> float: ...
    def running(self) -> Sequence[Job]: ...
    def queue(self, *, ended: bool) -> Sequence[Job]:
        """Live jobs in the order of arrival; with `ended` also those that ended lately."""

    def jobs(self, ids: Sequence[int]) -> Sequence[Job]:
        """Those of them that ever were."""

    def since(self, at: float) -> Sequence[Job]:
        """Live jobs, and those that ended after `at`."""

    def submit(self, asked: Submission) -> int: ...
    def cancel(self, job: Job) -> None: ...


def answer(question: Question, centre: Controller) -> Answer:
    """What the command of `question` says. Never raises for anything in the question."""
    program = question.argv[0] if question.argv else ""
    face = FACES.get(program)
    if face is None:
        return Answer(127, "", f"{program}: command not found\n")
    try:
        return face(question, centre)
    except Complaint as complaint:
        prefix = "" if complaint.plain else f"{program}: error: "
        return Answer(1, "", "".join(f"{prefix}{line}\n" for line in complaint.lines))
    except ValueError as error:  # an unclosed quote in a #SBATCH line
        return Answer(1, "", f"{program}: error: {error}\n")


# ---- sbatch, scancel


def sbatch(question: Question, centre: Controller) -> Answer:
    given, rest = options_of(question.argv[1:])
    script, name = question.stdin, ""
    if rest and "wrap" not in given:
        name = rest[0]
        script = _read(Path(question.directory) / name)
    elif "wrap" in given:
        script = ""
    if script is None:
        return Answer(None)
    where = Where(centre.user, question.directory, question.environment)
    asked = submission(question.argv[1:], script, os.path.basename(name), centre.settings, where)
    number = centre.submit(asked)
    quiet = "quiet" in given
    return Answer(0, f"{number}\n" if asked.parsable else "" if quiet else f"Submitted batch job {number}\n")


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="surrogateescape")
    except OSError:
        raise Complaint(f"Unable to open file {path}") from None


def scancel(question: Question, centre: Controller) -> Answer:
    given, rest = _options(
        question,
        {"Q": "quiet", "v": "verbose", "n": "name", "u": "user", "t": "state", "p": "partition"},
        ("quiet", "verbose", "name=", "user=", "me", "state=", "partition="),
    )
    filters = {key: value for key, value in given.items() if key in ("name", "user", "me", "state", "partition")}
    if not rest and not filters:
        raise Complaint("No job identification provided")
    numbers = [_job_number(word, "Invalid job id {}") for word in rest]
    wanted = centre.jobs(numbers) if numbers else centre.queue(ended=False)
    for job in _filtered(wanted, filters, centre):
        if not job.ended_at:
            centre.cancel(job)
    return Answer(0)


# ---- squeue


def squeue(question: Question, centre: Controller) -> Answer:
    given, rest = _options(
        question,
        {
            "h": "noheader",
            "j": "jobs",
            "t": "states",
            "o": "format",
            "n": "name",
            "u": "user",
            "p": "partition",
            "a": "all",
            "V": "version",
        },
        ("noheader", "jobs=", "states=", "format=", "name=", "user=", "me", "partition=", "all", "version"),
    )
    if rest:
        raise Complaint(f"Unrecognized option: {rest[0]}")
    if "version" in given:
        return Answer(0, f"{VERSION}\n")
    states = _states(given.get("states", "PENDING,RUNNING,COMPLETING"))
    listed = list(centre.queue(ended=states is None or not states <= {"PENDING", "RUNNING", "COMPLETING"}))
    if "jobs" in given:
        wanted = {_job_number(word, "Invalid job id: {}") for word in given["jobs"].split(",") if word}
        known = {job.id for job in centre.queue(ended=True)} if len(wanted) == 1 else wanted
        if not wanted & known:
            return Answer(1, "", NO_SUCH_JOB)  # Slurm complains of one unknown id, and ignores it among several
        listed = [job for job in listed if job.id in wanted]
    listed = [job for job in _filtered(listed, given, centre) if states is None or shown_state(job) in states]
    return Answer(0, _squeue_text(listed, given, _moment(question, centre)))


def _squeue_text(jobs: Sequence[Job], given: Mapping[str, str], at: Moment) -> str:
    form = given.get("format", SQUEUE_FORMAT)
    pieces = columns(form, JOB_FIELDS)
    ordered = sorted(jobs, key=lambda job: (job.state != "PENDING", job.id))
    rows = [[piece if isinstance(piece, str) else padded(JOB_FIELDS[piece[0]](job, at), *piece[1:]) for piece in pieces] for job in ordered]
    if "noheader" not in given:
        rows.insert(0, [p if isinstance(p, str) else padded(SQUEUE_TITLES.get(p[0], p[0].upper()), *p[1:]) for p in pieces])
    return "".join("".join(row) + "\n" for row in rows)


def _states(text: str) -> set[str] | None:
    """The named states; None for all."""
    if text.lower() == "all":
        return None
    names = {STATE_LETTERS.get(word.upper(), word.upper()) for word in text.split(",")}
    unknown = names - set(STATES.split(","))
    if unknown:
        raise Complaint(f"Invalid job state specified: {text}", f"Valid job states include: {STATES}\n")
    return names


# ---- sinfo


def sinfo(question: Question, centre: Controller) -> Answer:
    given, rest = _options(
        question,
        {"h": "noheader", "N": "Node", "o": "format", "O": "Format", "p": "partition", "a": "all", "V": "version"},
        ("noheader", "Node", "format=", "Format=", "partition=", "all", "version"),
    )
    if rest:
        raise Complaint(f"Unrecognized option: {rest[0]}")
    if "version" in given:
        return Answer(0, f"{VERSION}\n")
    left = left_of(centre.nodes, centre.running())
    rows = [NodeRow(node, left[node.name], centre.settings) for node in centre.nodes]
    if given.get("partition", centre.settings.partition) != centre.settings.partition:
        rows = []
    if "Format" in given:
        if "Node" not in given or "noheader" not in given:
            raise Complaint("--Format is answered only with --Node and --noheader")
        wanted = long_columns(given["Format"])
        return Answer(0, "".join("".join(padded(f(row), width, right) + end for f, width, right, end in wanted) + "\n" for row in rows))
    if "format" in given:
        return Answer(0, _sinfo_text(rows, given))
    return Answer(0, _sinfo_table(rows, centre, header="noheader" not in given))


def _sinfo_text(rows: Sequence[NodeRow], given: Mapping[str, str]) -> str:
    pieces = columns(given["format"], NODE_FIELDS)
    if "Node" not in given and [p for p in pieces if not isinstance(p, str)] and all(isinstance(p, str) or p[0] in "CPaDl" for p in pieces):
        totals = [sum(row.used for row in rows), sum(row.free.cores for row in rows), 0, sum(row.node.cores for row in rows)]
        values = {"C": "/".join(map(str, totals)), "D": str(len(rows))}
        lines = [
            "".join(p if isinstance(p, str) else padded(values.get(p[0]) or NODE_FIELDS[p[0]](rows[0]), *p[1:]) for p in pieces)
        ] * bool(rows)
    else:
        lines = ["".join(p if isinstance(p, str) else padded(NODE_FIELDS[p[0]](row), *p[1:]) for p in pieces) for row in rows]
    title = [] if "noheader" in given else ["".join(p if isinstance(p, str) else padded(p[0].upper(), *p[1:]) for p in pieces)]
    return "".join(f"{line}\n" for line in [*title, *lines])


def _sinfo_table(rows: Sequence[NodeRow], centre: Controller, *, header: bool) -> str:
    lines = ["PARTITION AVAIL  TIMELIMIT  NODES  STATE NODELIST"] if header else []
    for state, short in (("mixed", "mix"), ("allocated", "alloc"), ("idle", "idle")):
        names = [row.node.name for row in rows if row.state == state]
        if names:
            limit = clock(centre.settings.max_walltime)
            lines.append(f"{centre.settings.partition + '*':<9} {'up':>5} {limit:>10} {len(names):>6} {short:>6} {hosts(names)}")
    return "".join(f"{line}\n" for line in lines)


# ---- sacct

UsageField = Callable[[Job, Moment, bool], str]  # the bool: with the steps' CPU time
USAGE_FIELDS: Mapping[str, UsageField] = {
    "jobid": lambda job, at, cpu: str(job.id),
    "jobidraw": lambda job, at, cpu: str(job.id),
    "jobname": lambda job, at, cpu: job.name,
    "partition": lambda job, at, cpu: job.partition,
    "account": lambda job, at, cpu: job.account,
    "user": lambda job, at, cpu: job.user,
    "state": lambda job, at, cpu: f"CANCELLED by {os.getuid()}" if job.state == "CANCELLED" else job.state,
    "exitcode": lambda job, at, cpu: f"{job.code}:{job.signal}",
    "alloccpus": lambda job, at, cpu: str(job.cores if job.started_at else 0),
    "ncpus": lambda job, at, cpu: str(job.cores if job.started_at else 0),
    "reqcpus": lambda job, at, cpu: str(job.cores),
    "alloctres": lambda job, at, cpu: tres(job) if job.started_at else "",
    "reqtres": lambda job, at, cpu: tres(job),
    "reqmem": lambda job, at, cpu: megabytes(job.need.memory),
    "submit": lambda job, at, cpu: at.time(job.submitted_at, "Unknown"),
    "start": lambda job, at, cpu: at.time(job.started_at, "None" if job.ended_at else "Unknown"),
    "end": lambda job, at, cpu: at.time(job.ended_at, "Unknown"),
    "elapsed": lambda job, at, cpu: long_clock(job.elapsed(at.now)),
    "elapsedraw": lambda job, at, cpu: str(job.elapsed(at.now)),
    "totalcpu": lambda job, at, cpu: cpu_clock(job.cpu) if cpu and job.ended_at else "00:00:00",
    "cputimeraw": lambda job, at, cpu: str(job.elapsed(at.now) * job.cores),
    "timelimit": lambda job, at, cpu: long_clock(job.limit),
    "timelimitraw": lambda job, at, cpu: str(job.limit // 60),
    "nodelist": lambda job, at, cpu: nodes_of(job) or "None assigned",
    "nnodes": lambda job, at, cpu: str(job.need.nodes),
    "workdir": lambda job, at, cpu: job.directory,
}
SACCT_FORMAT = "jobid,jobname,partition,account,alloccpus,state,exitcode"


def sacct(question: Question, centre: Controller) -> Answer:
    given, rest = _options(
        question,
        {
            "X": "allocations", "n": "noheader", "p": "parsable", "P": "parsable2", "j": "jobs", "o": "format", "u": "user",
            "a": "allusers", "V": "version", "S": "starttime", "D": "duplicates",
            "E": "endtime",
        },
        ("allocations", "noheader", "parsable", "parsable2", "delimiter=", "jobs=", "format=", "name=", "user=", "allusers", "version",
         "starttime=", "endtime=", "duplicates"),
    )  # fmt: skip
    if rest:
        raise Complaint(f"Unrecognized option: {rest[0]}")
    if "version" in given:
        return Answer(0, f"{VERSION}\n")
    names = [name.strip().lower().partition("%")[0] for name in given.get("format", SACCT_FORMAT).split(",")]
    if unknown := [name for name in names if name not in USAGE_FIELDS]:
        raise Complaint(f'Invalid field requested: "{unknown[0]}"')
    at = _moment(question, centre)
    if "jobs" in given:
        found = centre.jobs([_job_number(word, "Invalid job id: {}") for word in given["jobs"].split(",") if word])
    else:
        found = centre.since(_start(given["starttime"], at.now) if "starttime" in given else at.now - at.now % 86400)
    if "endtime" in given:
        until = _start(given["endtime"], at.now)
        found = [job for job in found if job.submitted_at < until]
    steps = "allocations" not in given
    rows = [] if "noheader" in given else [list(names)]
    for job in _filtered(found, given, centre):
        row = [USAGE_FIELDS[name](job, at, steps) for name in names]
        rows.append(row)
        if steps and job.started_at and not job.pretend:
            rows.append(_step(row, names))
    if "parsable2" in given or "parsable" in given:
        mark = given.get("delimiter", "|")
        end = mark if "parsable" in given else ""
        return Answer(0, "".join(mark.join(row) + f"{end}\n" for row in rows))
    return Answer(0, "".join(" ".join(f"{text[:12]:>12}" for text in row) + "\n" for row in rows))


def _start(text: str, now: float) -> float:
    """Slurm's "now-7days" and "2026-11-23T08:00:00", which is UTC here; of its other ways to say a time none."""
    if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", text):
        try:
            return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
        except ValueError:
            raise Complaint(f"Invalid time specification (pos=0): {text}") from None
    match = re.fullmatch(r"now(?:-(\d+)(seconds|minutes|hours|days|weeks)?)?", text)
    if not match:
        raise Complaint(f"Invalid time specification (pos=0): {text}")
    units = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400, "weeks": 604800}
    return now - int(match[1] or 0) * units[match[2] or "seconds"]


def _step(row: Sequence[str], names: Sequence[str]) -> list[str]:
    """The batch step's row below its job's."""
    changes = {"jobname": "batch", "partition": "", "user": "", "reqmem": "", "timelimit": "", "timelimitraw": ""}
    return [f"{text}.batch" if name.startswith("jobid") else changes.get(name, text) for name, text in zip(names, row, strict=True)]


def tres(job: Job) -> str:
    gpus = f"gres/gpu={job.need.gpus * job.need.nodes}," if job.need.gpus else ""
    memory = megabytes(job.need.memory * job.need.nodes)
    return f"billing={job.cores},cpu={job.cores},{gpus}mem={memory},node={job.need.nodes}"


# ---- scontrol


def scontrol(question: Question, centre: Controller) -> Answer:
    given, rest = _options(question, {"o": "oneliner", "V": "version"}, ("oneliner", "version"))
    if "version" in given:
        return Answer(0, f"{VERSION}\n")
    match rest:
        case ["ping"]:
            return Answer(0, f"Slurmctld(primary) at {centre.settings.name} is UP\n")
        case ["show", ("job" | "jobs"), *ids] if len(ids) < 2:
            found = centre.queue(ended=True)
            if ids:
                number = _job_number(ids[0], "Invalid job id {}")
                found = [job for job in found if job.id == number]
                if not found:
                    return Answer(1, "", NO_SUCH_JOB)
            elif not found:
                return Answer(0, "No jobs in the system\n")
            at = _moment(question, centre)
            joint = " " if "oneliner" in given else "\n   "
            return Answer(0, "".join(joint.join(_job_facts(job, at)) + " \n" for job in found))
        case ["show", entity, *_]:
            return Answer(1, "", f"invalid entity:{entity} for keyword:show \n")
    return Answer(1, "", f"invalid keyword: {rest[0] if rest else ''}\n")


def _job_facts(job: Job, at: Moment) -> list[str]:
    end = job.ended_at or (job.started_at and job.started_at + job.limit)
    return [
        f"JobId={job.id} JobName={job.name}",
        f"UserId={job.user}({os.getuid()}) GroupId={job.user}({os.getgid()}) MCS_label=N/A",
        f"Priority={4294901760 - job.id} Nice=0 Account={job.account or '(null)'} QOS=(null)",
        f"JobState={shown_state(job)} Reason={job.reason or 'None'} Dependency=(null)",
        f"Requeue=0 Restarts=0 BatchFlag=1 Reboot=0 ExitCode={job.code}:{job.signal}",
        f"RunTime={long_clock(job.elapsed(at.now))} TimeLimit={long_clock(job.limit)} TimeMin=N/A",
        f"SubmitTime={at.time(job.submitted_at)} EligibleTime={at.time(job.submitted_at)}",
        f"StartTime={at.time(job.started_at or job.starts_at or job.ended_at, 'Unknown')} EndTime={at.time(end, 'Unknown')} Deadline=N/A",
        f"Partition={job.partition}",
        *([f"NodeList={nodes_of(job)} BatchHost={job.spots[0].node}"] if job.spots else ["NodeList="]),
        f"NumNodes={job.need.nodes} NumCPUs={job.cores} NumTasks={job.tasks} CPUs/Task={job.cores_per_task}",
        f"TRES={tres(job)}",
        f"MinCPUsNode={job.need.cores} MinMemoryNode={megabytes(job.need.memory)} MinTmpDiskNode=0",
        f"Command={job.command or '(null)'} WorkDir={job.directory}",
        *([f"TresPerNode=gres:gpu:{job.need.gpus}"] if job.need.gpus else []),
    ]


# ---- what they share


def _options(question: Question, short: Mapping[str, str], long: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Options by long name, and the other words. `long` as getopt wants it, `short` from letters to long names."""
    letters = "".join(letter + ":" * (f"{name}=" in long) for letter, name in short.items())
    try:
        found, rest = getopt.gnu_getopt(list(question.argv[1:]), letters, list(long))
    except getopt.GetoptError as error:
        raise unknown_option(question.argv[0], error) from None
    return {name[2:] if name.startswith("--") else short[name[1]]: value for name, value in found}, rest


def _filtered(jobs: Sequence[Job], given: Mapping[str, str], centre: Controller) -> list[Job]:
    users = {centre.user} if "me" in given else set(given["user"].split(",")) if "user" in given else None
    names = set(given["name"].split(",")) if "name" in given else None
    partitions = set(given["partition"].split(",")) if "partition" in given else None
    states = _states(given["state"]) if "state" in given else None
    return [
        job
        for job in jobs
        if (users is None or job.user in users)
        and (names is None or job.name in names)
        and (partitions is None or job.partition in partitions)
        and (states is None or shown_state(job) in states)
    ]


def _job_number(word: str, complaint: str) -> int:
    if not re.fullmatch(r"\d{1,10}", word, re.ASCII):
        raise Complaint(complaint.format(word))
    return int(word)


def _moment(question: Question, centre: Controller) -> Moment:
    environment = question.environment
    form = environment.get("SLURM_TIME_FORMAT", "")
    return Moment(centre.now(), form if form not in ("", "standard") else STANDARD, environment.get("TZ") == "UTC")


FACES: Mapping[str, Callable[[Question, Controller], Answer]] = {
    "sbatch": sbatch,
    "squeue": squeue,
    "scancel": scancel,
    "sinfo": sinfo,
    "sacct": sacct,
    "scontrol": scontrol,
}
