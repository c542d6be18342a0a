"""The faces of an embedded centre: argv of sbatch, squeue, scancel, sinfo, sacct, scontrol → what they print.

Knows Slurm 22.05's options, words and exit codes for the subset that stock tools use; the daemon behind
`asking.Controller` does the work. An option that is not here is refused as Slurm refuses an unknown one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .accounting import sacct, tres
from .asking import VERSION, Answer, Controller, Question, filtered, job_number, job_states, moment, options
from .listing import (
    JOB_FIELDS,
    JOB_WORDS,
    NODE_FIELDS,
    NODE_WORDS,
    Moment,
    NodeRow,
    clock,
    columns,
    hosts,
    long_clock,
    long_columns,
    megabytes,
    nodes_of,
    padded,
    shown_state,
)  # fmt: skip
from .queue import Job, left_of
from .submission import Complaint, Where, options_of, submission

NO_SUCH_JOB = "slurm_load_jobs error: Invalid job id specified\n"
SQUEUE_FORMAT = "%.18i %.9P %.8j %.8u %.2t %.10M %.6D %R"
SQUEUE_TITLES = {"i": "JOBID", "P": "PARTITION", "j": "NAME", "u": "USER", "t": "ST", "M": "TIME", "D": "NODES", "R": "NODELIST(REASON)"}


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
    given, rest = options(
        question,
        {"Q": "quiet", "v": "verbose", "n": "name", "u": "user", "t": "state", "p": "partition"},
        ("quiet", "verbose", "name=", "user=", "me", "state=", "partition="),
    )
    filters = {key: value for key, value in given.items() if key in ("name", "user", "me", "state", "partition")}
    if not rest and not filters:
        raise Complaint("No job identification provided")
    numbers = [job_number(word, "Invalid job id {}") for word in rest]
    wanted = centre.jobs(numbers) if numbers else centre.queue(ended=False)
    for job in filtered(wanted, filters, centre):
        if not job.ended_at:
            centre.cancel(job)
    return Answer(0)


# ---- squeue


def squeue(question: Question, centre: Controller) -> Answer:
    given, rest = options(
        question,
        {
            "h": "noheader",
            "j": "jobs",
            "t": "states",
            "o": "format",
            "O": "Format",
            "n": "name",
            "u": "user",
            "p": "partition",
            "a": "all",
            "V": "version",
        },
        ("noheader", "jobs=", "states=", "format=", "Format=", "name=", "user=", "me", "partition=", "all", "version"),
    )
    if rest:
        raise Complaint(f"Unrecognized option: {rest[0]}")
    if "version" in given:
        return Answer(0, f"{VERSION}\n")
    states = job_states(given.get("states", "PENDING,RUNNING,COMPLETING"))
    listed = list(centre.queue(ended=states is None or not states <= {"PENDING", "RUNNING", "COMPLETING"}))
    if "jobs" in given:
        wanted = {job_number(word, "Invalid job id: {}") for word in given["jobs"].split(",") if word}
        known = {job.id for job in centre.queue(ended=True)} if len(wanted) == 1 else wanted
        if not wanted & known:
            return Answer(1, "", NO_SUCH_JOB)  # Slurm complains of one unknown id, and ignores it among several
        listed = [job for job in listed if job.id in wanted]
    listed = [job for job in filtered(listed, given, centre) if states is None or shown_state(job) in states]
    return Answer(0, _squeue_text(listed, given, moment(question, centre)))


def _squeue_text(jobs: Sequence[Job], given: Mapping[str, str], at: Moment) -> str:
    if "Format" in given:
        return _squeue_words(jobs, given, at)
    form = given.get("format", SQUEUE_FORMAT)
    pieces = columns(form, JOB_FIELDS)
    ordered = sorted(jobs, key=lambda job: (job.state != "PENDING", job.id))
    rows = [[piece if isinstance(piece, str) else padded(JOB_FIELDS[piece[0]](job, at), *piece[1:]) for piece in pieces] for job in ordered]
    if "noheader" not in given:
        rows.insert(0, [p if isinstance(p, str) else padded(SQUEUE_TITLES.get(p[0], p[0].upper()), *p[1:]) for p in pieces])
    return "".join("".join(row) + "\n" for row in rows)


def _squeue_words(jobs: Sequence[Job], given: Mapping[str, str], at: Moment) -> str:
    if "noheader" not in given:
        raise Complaint("--Format is answered only with --noheader")
    wanted = long_columns(given["Format"], JOB_WORDS, "job")
    ordered = sorted(jobs, key=lambda job: (job.state != "PENDING", job.id))
    return "".join("".join(padded(f(job, at), width, right) + end for f, width, right, end in wanted) + "\n" for job in ordered)


# ---- sinfo


def sinfo(question: Question, centre: Controller) -> Answer:
    given, rest = options(
        question,
        {"h": "noheader", "N": "Node", "o": "format", "O": "Format", "p": "partition", "a": "all", "V": "version"},
        ("noheader", "Node", "format=", "Format=", "partition=", "all", "exact", "version"),
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
        wanted = long_columns(given["Format"], NODE_WORDS, "node")
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


# ---- scontrol


def scontrol(question: Question, centre: Controller) -> Answer:
    given, rest = options(question, {"o": "oneliner", "V": "version"}, ("oneliner", "version"))
    if "version" in given:
        return Answer(0, f"{VERSION}\n")
    match rest:
        case ["ping"]:
            return Answer(0, f"Slurmctld(primary) at {centre.settings.name} is UP\n")
        case ["show", ("job" | "jobs"), *ids] if len(ids) < 2:
            found = centre.queue(ended=True)
            if ids:
                number = job_number(ids[0], "Invalid job id {}")
                found = [job for job in found if job.id == number]
                if not found:
                    return Answer(1, "", NO_SUCH_JOB)
            elif not found:
                return Answer(0, "No jobs in the system\n")
            at = moment(question, centre)
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


FACES: Mapping[str, Callable[[Question, Controller], Answer]] = {
    "sbatch": sbatch,
    "squeue": squeue,
    "scancel": scancel,
    "sinfo": sinfo,
    "sacct": sacct,
    "scontrol": scontrol,
}
