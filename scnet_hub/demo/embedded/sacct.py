"""The accounting of an embedded centre: `sacct`'s output about jobs and their steps."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from .command_options import Complaint
from .formatting import Moment, cpu_clock, hosts, long_clock, nodes_of, priority, size
from .request import Answer, Call, Controller, filtered, job_number, moment
from .scheduler import Job, Step

BATCH = -1  # the id of the step that is the batch script
KILLED = 15


@dataclass(frozen=True, slots=True)
class Row:
    """A job, or one step of it. `cpu`: whether CPU times are given, as sacct does when steps are listed."""

    job: Job
    at: Moment
    cpu: bool
    step: Step | None = None

    @property
    def id(self) -> str:
        if self.step is None:
            return str(self.job.id)
        return f"{self.job.id}.{'batch' if self.step.id == BATCH else self.step.id}"

    @property
    def state(self) -> str:
        job, step = self.job, self.step
        if step is None:
            return f"CANCELLED by {self.at.owner.uid}" if job.state == "CANCELLED" else job.state
        if not step.ended_at:
            return "RUNNING"
        return "CANCELLED" if step.signal else "FAILED" if step.code else "COMPLETED"

    @property
    def code(self) -> str:
        source = self.step or self.job
        return f"{source.code}:{source.signal}"

    @property
    def elapsed(self) -> int:
        if self.step is None:
            return self.job.elapsed(self.at.now)
        return max(0, int((self.step.ended_at or self.at.now) - self.step.started_at))

    @property
    def cores(self) -> int:
        return self.step.cores if self.step else self.job.cores

    @property
    def nodes(self) -> int:
        return len(self.step.nodes) if self.step else self.job.need.nodes

    @property
    def tres(self) -> str:
        """Returns the resources, for the job with `billing`, which is charged."""
        job, nodes = self.job, self.nodes
        gpus = f"gres/gpu={job.need.gpus * nodes}," if job.need.gpus else ""
        billing = "" if self.step else f"billing={job.cores},"
        return f"{billing}cpu={self.cores},{gpus}mem={size(job.need.memory * nodes)},node={nodes}"

    @property
    def total_cpu(self) -> str:
        source = self.step or self.job
        return cpu_clock(source.cpu) if self.cpu and source.ended_at and source.cpu else "00:00:00"

    @property
    def waited(self) -> int:
        job = self.job
        return max(0, int((job.started_at or job.ended_at or self.at.now) - job.submitted_at))


@dataclass(frozen=True, slots=True)
class Field:
    """One column: its title, its width, and its text; for a step only with `steps`."""

    title: str
    width: int
    show: Callable[[Row], str]
    steps: bool = True
    left: bool = False


def _job(show: Callable[[Job], object]) -> Callable[[Row], str]:
    return lambda row: str(show(row.job))


def _ended(row: Row) -> str:
    return row.at.time((row.step or row.job).ended_at, "Unknown")


def _started(row: Row) -> str:
    return row.at.time((row.step or row.job).started_at, "None" if row.job.ended_at else "Unknown")


def _queued(row: Row) -> str:
    return row.at.time(row.step.started_at if row.step else row.job.submitted_at)


FIELDS: Mapping[str, Field] = {
    field.title.lower(): field
    for field in (
        Field("Account", 10, _job(lambda job: job.account)),
        Field("AllocCPUS", 10, lambda row: str(row.cores)),
        Field("AllocNodes", 10, lambda row: str(row.nodes if row.job.started_at else 0)),
        Field("AllocTRES", 10, lambda row: row.tres if row.job.started_at else ""),
        Field("Comment", 14, _job(lambda job: ""), steps=False),
        Field("CPUTime", 10, lambda row: long_clock(row.elapsed * row.cores)),
        Field("CPUTimeRAW", 10, lambda row: str(row.elapsed * row.cores)),
        Field("Elapsed", 10, lambda row: long_clock(row.elapsed)),
        Field("ElapsedRaw", 10, lambda row: str(row.elapsed)),
        Field("Eligible", 19, _queued),
        Field("End", 19, _ended),
        Field("ExitCode", 8, lambda row: row.code),
        Field("GID", 6, lambda row: str(row.at.owner.gid), steps=False),
        Field("Group", 9, lambda row: row.at.owner.group, steps=False),
        Field("JobID", 12, lambda row: row.id, left=True),
        Field("JobIDRaw", 12, lambda row: row.id, left=True),
        Field("JobName", 10, lambda row: row.step.name if row.step else row.job.name),
        Field("NCPUS", 10, lambda row: str(row.cores)),
        Field("NNodes", 8, lambda row: str(row.nodes)),
        Field(
            "NodeList", 15, lambda row: (hosts(row.step.nodes) if row.step else nodes_of(row.job)) or "None assigned"
        ),
        Field("NTasks", 8, lambda row: str(row.step.tasks) if row.step else ""),
        Field("Partition", 10, _job(lambda job: job.partition), steps=False),
        Field("Priority", 10, _job(priority), steps=False),
        Field("QOS", 10, _job(lambda job: "normal"), steps=False),
        Field("ReqCPUS", 8, lambda row: str(row.cores)),
        Field("ReqMem", 10, _job(lambda job: size(job.need.memory * job.need.nodes)), steps=False),
        Field("ReqNodes", 8, lambda row: str(row.nodes)),
        Field("ReqTRES", 10, lambda row: row.tres, steps=False),
        Field("Reserved", 10, lambda row: long_clock(row.waited), steps=False),
        Field("ResvCPU", 10, lambda row: long_clock(row.waited * row.cores), steps=False),
        Field("Start", 19, _started),
        Field("State", 10, lambda row: row.state),
        Field("Submit", 19, _queued),
        Field("Suspended", 10, lambda row: "00:00:00"),
        Field("Timelimit", 10, _job(lambda job: long_clock(job.limit)), steps=False),
        Field("TimelimitRaw", 10, _job(lambda job: job.limit // 60), steps=False),
        Field("TotalCPU", 10, lambda row: row.total_cpu),
        Field("UID", 6, lambda row: str(row.at.owner.uid), steps=False),
        Field("User", 9, _job(lambda job: job.user), steps=False),
        Field("WorkDir", 20, _job(lambda job: job.directory), steps=False),
    )
}
USUAL = "jobid,jobname,partition,account,alloccpus,state,exitcode"
BRIEF = "jobid,state,exitcode"


def sacct(call: Call, centre: Controller) -> Answer:
    given = call.given
    if call.rest:
        return Answer(1, "", f"sacct: error: Unknown arguments:\nsacct: error:  {call.rest[0]}\n")
    if "helpformat" in given:
        names = [field.title for field in FIELDS.values()]
        lines = [names[start : start + 4] for start in range(0, len(names), 4)]
        return Answer(0, "".join(" ".join(f"{name:<19}" for name in line) + "\n" for line in lines))
    fields = [_field(word) for word in given.get("format", BRIEF if "brief" in given else USUAL).split(",") if word]
    at = moment(call.question, centre)
    rows = [row for job in _found(given, centre, at) for row in _rows(job, at, given)]
    if "jobs" in given:
        rows = [row for row in rows if _named(row, given["jobs"].split(","))]
    if "parsable" in given or "parsable2" in given:
        return Answer(0, _marked(fields, rows, given))
    return Answer(0, _table(fields, rows, header="noheader" not in given))


def _field(word: str) -> Field:
    """Returns the field named as in "state%30". A width in the name aligns the column to the right. Raises
    Complaint."""
    name, _, width = word.strip().partition("%")
    field = FIELDS.get(name.lower())
    if field is None:
        raise Complaint(f'Invalid field requested: "{name}"')
    return (
        replace(field, width=abs(int(width)), left=False) if re.fullmatch(r"-?[1-9]\d{0,3}", width, re.ASCII) else field
    )


def _found(given: Mapping[str, str], centre: Controller, at: Moment) -> list[Job]:
    if "jobs" in given:
        ids = [_numbered(word) for word in given["jobs"].split(",") if word]
        found = centre.jobs(list(dict.fromkeys(ids)))
    else:
        found = centre.since(_time(given["starttime"], at) if "starttime" in given else at.now - at.now % 86400)
    if "endtime" in given:
        until = _time(given["endtime"], at)
        found = [job for job in found if job.submitted_at < until]
    filters = {**given, **({"account": given["accounts"]} if "accounts" in given else {})}
    return filtered(found, filters, centre)


def _numbered(word: str) -> int:
    number, dot, step = word.partition(".")
    if dot and not re.fullmatch(r"\d{1,6}|batch", step, re.ASCII):
        raise _bad(word)
    try:
        return job_number(number, "")
    except Complaint:
        raise _bad(word) from None


def _bad(word: str) -> Complaint:
    return Complaint(f"sacct: fatal: Bad job/step specified: {word}", plain=True)


def _named(row: Row, words: Sequence[str]) -> bool:
    return row.id in words or str(row.job.id) in words


def _rows(job: Job, at: Moment, given: Mapping[str, str]) -> list[Row]:
    whole = "allocations" not in given
    steps = [_batch_step(job), *job.steps] if whole and job.started_at and not job.pretend else []
    return [Row(job, at, whole), *(Row(job, at, whole, step) for step in steps)]


def _batch_step(job: Job) -> Step:
    """Returns the batch script as a step: killed by SIGTERM if its job was."""
    killed = job.signal or (KILLED if job.state in ("CANCELLED", "TIMEOUT") else 0)
    return Step(
        id=BATCH, name="batch", tasks=1, nodes=(job.spots[0].node,), cores=job.need.cores, started_at=job.started_at,
        ended_at=job.ended_at, code=0 if killed else job.code, signal=killed,
        cpu=max(0.0, job.cpu - sum(step.cpu for step in job.steps)),
    )  # fmt: skip


def _cells(fields: Sequence[Field], row: Row) -> list[str]:
    return [field.show(row) if field.steps or row.step is None else "" for field in fields]


def _marked(fields: Sequence[Field], rows: Sequence[Row], given: Mapping[str, str]) -> str:
    mark = given.get("delimiter", "|")
    end = mark if "parsable" in given else ""
    lines = [] if "noheader" in given else [[field.title for field in fields]]
    lines += [_cells(fields, row) for row in rows]
    return "".join(f"{mark.join(line)}{end}\n" for line in lines)


def _table(fields: Sequence[Field], rows: Sequence[Row], *, header: bool) -> str:
    lines = []
    if header:
        lines.append([field.title[: field.width] for field in fields])
        lines.append(["-" * field.width for field in fields])
    lines += [
        [_cut(text, field.width) for text, field in zip(_cells(fields, row), fields, strict=True)] for row in rows
    ]
    return "".join(
        "".join(f"{_put(text, field)} " for text, field in zip(line, fields, strict=True)) + "\n" for line in lines
    )


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}+"


def _put(text: str, field: Field) -> str:
    return text.ljust(field.width) if field.left else text.rjust(field.width)


def _time(text: str, at: Moment) -> float:
    """Reads Slurm's "now-7days" and "2026-11-23[T08:00[:00]]", which is UTC here; refuses Slurm's other notations of a
    time."""
    if re.fullmatch(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?)?", text, re.ASCII):
        try:
            return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
        except ValueError:
            raise _bad_time(text) from None
    match = re.fullmatch(r"now(?:-(\d{1,9})(second|minute|hour|day|week)?s?)?", text, re.ASCII)
    if not match:
        raise _bad_time(text)
    units = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
    return at.now - int(match[1] or 0) * units[match[2] or "second"]


def _bad_time(text: str) -> Complaint:
    return Complaint(f"Invalid time specification (pos=0): {text}", plain=True)
