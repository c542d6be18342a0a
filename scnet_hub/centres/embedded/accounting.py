"""The face of an embedded centre's accounting: what `sacct` prints of its jobs."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from .asking import VERSION, Answer, Controller, Question, filtered, job_number, moment, options
from .listing import Moment, cpu_clock, long_clock, megabytes, nodes_of
from .queue import Job
from .submission import Complaint

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
    given, rest = options(
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
    at = moment(question, centre)
    if "jobs" in given:
        found = centre.jobs([job_number(word, "Invalid job id: {}") for word in given["jobs"].split(",") if word])
    else:
        found = centre.since(_start(given["starttime"], at.now) if "starttime" in given else at.now - at.now % 86400)
    if "endtime" in given:
        until = _start(given["endtime"], at.now)
        found = [job for job in found if job.submitted_at < until]
    steps = "allocations" not in given
    rows = [] if "noheader" in given else [list(names)]
    for job in filtered(found, given, centre):
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
