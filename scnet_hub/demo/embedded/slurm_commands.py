"""The commands of an embedded centre: argv of sbatch, squeue, scancel, sinfo, sacct, scontrol, srun → their output.

Knows Slurm 22.05's options, words and exit codes for the subset that stock tools use; the daemon behind
`request.Controller` does the work. An option that is not in `manuals.py` is refused as Slurm refuses an unknown
option.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ...adapters import owned_files
from .command_options import Complaint
from .environment import login
from .formatting import JOB_FIELDS, JOB_TITLES, JOB_WORDS, Column, columns, long_columns, ordered, shown_state, table
from .manuals import MANUALS
from .request import Answer, Call, Controller, Question, about, filtered, job_number, job_states, moment
from .sacct import sacct
from .sbatch_options import Where, submission
from .scontrol import NO_SUCH_JOB, scontrol
from .sinfo import sinfo
from .srun import srun

LONGEST_SCRIPT = 4 << 20  # bytes, as Slurm's max_script_size
USUAL = "%.18i %.9P %.8j %.8u %.2t %.10M %.6D %R"
LONG = "%.18i %.9P %.8j %.8u %.8T %.10M %.9l %.6D %R"
START = "%.18i %.9P %.8j %.8u %.2t %.19S %.6D %20Y %R"


def answer(question: Question, centre: Controller) -> Answer:
    """Returns the answer to the command of `question`. Never raises for anything in the question."""
    program = question.argv[0] if question.argv else ""
    face = FACES.get(program)
    if face is None:
        return Answer(127, "", f"{program}: command not found\n")
    try:
        given, rest = MANUALS[program].parse(question.argv[1:])
        if text := about(program, given):
            return Answer(0, text)
        return face(Call(question, given, rest), centre)
    except Complaint as complaint:
        prefix = "" if complaint.plain else f"{program}: error: "
        return Answer(complaint.code, "", "".join(f"{prefix}{line}\n" for line in complaint.lines))
    except ValueError as error:  # an unclosed quote in a #SBATCH line
        return Answer(1, "", f"{program}: error: {error}\n")


def sbatch(call: Call, centre: Controller) -> Answer:
    question, given = call.question, call.given
    script, name = question.stdin, ""
    if call.rest and "wrap" not in given:
        name = call.rest[0]
        script = _read(Path(question.directory) / name)
    elif "wrap" in given:
        script = ""
    if script is None:
        return Answer(None)
    where = Where(centre.owner.user, question.directory, question.environment, login())
    asked = submission(question.argv[1:], script, os.path.basename(name), centre.settings, where)
    if name:
        asked.job.command = str(Path(question.directory) / name)
    number = centre.submit(asked)
    return Answer(0, f"{number}\n" if asked.parsable else "" if "quiet" in given else f"Submitted batch job {number}\n")


def _read(path: Path) -> str:
    """Reads a script by the submitter's path, following links. Raises Complaint also for a FIFO: this daemon would wait
    for its writer."""
    try:
        data = owned_files.read_all(Path(os.path.realpath(path)), LONGEST_SCRIPT)
        return data.decode(errors="surrogateescape")  # text mode would hide DOS line ends
    except OSError:
        raise Complaint(f"Unable to open file {path}") from None


def scancel(call: Call, centre: Controller) -> Answer:
    if not call.rest and not call.given.keys() - {"quiet", "verbose", "full"}:
        raise Complaint("No job identification provided")
    numbers = [job_number(word, "Invalid job id {}") for word in call.rest]
    wanted = centre.jobs(numbers) if numbers else centre.queue(ended=False)
    for job in filtered(wanted, call.given, centre):
        if not job.ended_at:
            centre.cancel(job)
    return Answer(0)


def squeue(call: Call, centre: Controller) -> Answer:
    given, rest = dict(call.given), [*call.rest]
    if rest and given.get("jobs") == "":  # its value may be left out, so "-j 6" leaves a 6 over
        given["jobs"] = rest.pop(0)
    if rest:
        return Answer(1, MANUALS["squeue"].usage, f"squeue: error: Unrecognized option: {rest[0]}\n")
    states = job_states(given.get("states", "PENDING" if "start" in given else "PENDING,RUNNING,COMPLETING"))
    listed = list(centre.queue(ended=states is None or not states <= {"PENDING", "RUNNING", "COMPLETING"}))
    if given.get("jobs"):
        wanted = {job_number(word, "Invalid job id: {}") for word in given["jobs"].split(",") if word}
        known = {job.id for job in centre.queue(ended=True)} if len(wanted) == 1 else wanted
        if not wanted & known:
            return Answer(1, "", NO_SUCH_JOB)  # Slurm complains of one unknown id, and ignores it among several
        listed = [job for job in listed if job.id in wanted]
    listed = [job for job in filtered(listed, given, centre) if states is None or shown_state(job) in states]
    at = moment(call.question, centre)
    rows = ordered(listed, given.get("sort", "S" if "start" in given else "P,t,-p"), at)
    titles = None if "noheader" in given else JOB_TITLES
    date = at.date_line() if "long" in given and not given.keys() & {"format", "Format", "start", "noheader"} else ""
    return Answer(
        0, date + table(_squeue_columns(given), rows, lambda letter, job: JOB_FIELDS[letter](job, at), titles)
    )


def _squeue_columns(given: Mapping[str, str]) -> Sequence[Column]:
    if "format" in given and "Format" in given:
        raise Complaint("-O (--Format) is incompatible with -o (--format)")
    if "Format" in given:
        return long_columns(given["Format"], JOB_WORDS, "job")
    usual = START if "start" in given else LONG if "long" in given else USUAL
    return columns(given.get("format", usual), JOB_FIELDS, "job")


Face = Callable[[Call, Controller], Answer]
FACES: Mapping[str, Face] = {
    "sbatch": sbatch, "scancel": scancel, "squeue": squeue, "sinfo": sinfo, "sacct": sacct, "scontrol": scontrol,
    "srun": srun,
}  # fmt: skip
