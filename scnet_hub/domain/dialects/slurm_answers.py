"""Reads the answers of Slurm's commands as rows, or refuses them: a broken answer is `Garbled`; a scheduler that was
not asked, `Unreachable`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from ...errors import Garbled, Rejected, Unreachable
from ..commands import Completed
from . import slurm_queue
from .command_checks import lines, sentence, short
from .slurm_queue import Line, Row

_FIELD = r"([^|\n]*)\|"
_QUEUE_ROW = re.compile(
    rf"^(\d{{1,10}})\|{_FIELD * (len(slurm_queue.FIELDS) - 2)}([^\n]*?)\|((?s:.{{0,{slurm_queue.NAME_WIDTH}}}))\|\.\n",
    re.MULTILINE | re.ASCII,
)
NODE_FIELDS = (
    "NodeList",
    "PartitionName",
    "CPUsState",
    "Memory",
    "AllocMem",
    "Gres",
    "GresUsed",
    "StateLong",
    "Time",
    "Available",
)
JOB = re.compile(r"\d{1,10}", re.ASCII)
# "Could not ask", in the messages of Slurm's clients (performance.md 5.4 B, testbed.md 4), of munge and of slurmdbd.
_NOT_ASKED = re.compile(
    r"unable to contact slurm controller|socket timed out|protocol authentication error|connection "
    r"refused|connection timed out"
    r"|connection reset|zero bytes were transmitted|communication connection failure|communications? shutdown failure"
    r"|problem talking to the database|unable to connect to database|rate ?limit|rpc limit|resource temporarily "
    r"unavailable"
    r"|temporarily unable to accept job|backup controller in standby|controller not responding|in a recovery phase"
    r"|could not establish a configuration source|unable to establish control|transport "
    r"endpoint|munge.*(failed|timed? ?out)"
    r"|no route to host|name or service not known|temporary failure in name resolution",
    re.IGNORECASE,
)
NO_SUCH_JOB = re.compile(r"invalid job id specified|job/step already completing or completed", re.IGNORECASE)
_PREFIX = re.compile(
    r"^(?:sbatch|squeue|scancel|sinfo|sacct|scontrol|slurm_load_\w+|scontrol_\w+)(?:: error)?:? (?:error: )?"
)


def check_asked(done: Completed) -> None:
    """Raises Unreachable if the answer means that the scheduler was not asked at all."""
    if done.code in (126, 127):
        raise Unreachable(f"Slurm's commands were not found: {words_of(done)}")
    if done.code and _NOT_ASKED.search(done.stderr):
        raise Unreachable(f"Slurm could not be asked: {words_of(done)}")


def check_whole(done: Completed) -> None:
    if done.stdout and not done.stdout.endswith("\n"):
        raise Garbled(f"the answer breaks off: ...{short(done.stdout[-80:])!r}.")


def _squeue_answered(done: Completed) -> None:
    check_asked(done)
    if done.code and not NO_SUCH_JOB.search(done.stderr):
        raise Rejected(words_of(done))
    check_whole(done)


def tagged_rows(done: Completed, fields: int) -> list[list[str]]:
    """Returns the tagged rows of a squeue answer that holds no text of other users; "no such job" is no rows."""
    _squeue_answered(done)
    rows = []
    for line in done.stdout.splitlines():
        if not line.startswith("J|"):
            continue
        parts = line.split("|")
        if len(parts) < fields + 2 or parts[-1] != "." or not JOB.fullmatch(parts[1]):
            raise Garbled(f"squeue's answer has an incomplete row: {short(line)!r}.")
        rows.append([*parts[1:fields], "|".join(parts[fields:-1])])
    return rows


def _queue_rows(done: Completed) -> list[Row]:
    """Returns the rows of a look, without jobs that appear twice: which of the two is Slurm's own row is unknown. A
    line that begins like a row but does not match is an incomplete row."""
    _squeue_answered(done)
    rows, read, between = [], 0, []
    for match in _QUEUE_ROW.finditer(done.stdout):
        rows.append(Row._make(match.groups()))
        if match.start() > read:
            between.append(done.stdout[read : match.start()])
        read = match.end()
    rest = "\n".join((*between, done.stdout[read:]))
    if half := next((line for line in rest.splitlines() if re.match(r"\d+\|", line, re.ASCII)), ""):
        raise Garbled(f"squeue's answer has an incomplete row: {short(half)!r}.")
    times = Counter([row.job for row in rows])
    return rows if len(times) == len(rows) else [row for row in rows if times[row.job] == 1]


def queue_of(done: Completed) -> tuple[list[Row], dict[str, list[Line]]]:
    """Returns the rows of a look, and the waiting lines in it."""
    rows = _queue_rows(done)
    return rows, slurm_queue.lines(rows)


def node_rows(done: Completed) -> Iterable[dict[str, str]]:
    check_asked(done)
    if done.code:
        raise Rejected(words_of(done))
    check_whole(done)
    begun = False
    for line in done.stdout.splitlines():
        parts = [part.strip() for part in line.split("|")]
        begun = begun or any(re.fullmatch(r"\d+/\d+/\d+/\d+", part) for part in parts)
        if len(parts) == 1 or not begun:  # output of other programs, which may hold "|" too
            continue
        if len(parts) != len(NODE_FIELDS) + 1 or parts[-1]:
            raise Garbled(f"sinfo's answer has an incomplete row: {short(line)!r}.")
        yield dict(zip(NODE_FIELDS, parts, strict=False))


def accounting_of(done: Completed) -> str:
    if "accounting storage is disabled" in done.stderr:
        return "scontrol"
    check_asked(done)
    return "sacct"


def told_text(done: Completed) -> str:
    """Returns the configuration; "" for an account that may not read it."""
    if done.code not in (126, 127):
        check_asked(done)
    return done.stdout


def words_of(done: Completed) -> str:
    """Returns the scheduler's message, without the names of its programs; repeated lines once."""
    said = lines(done.stderr) or lines(done.stdout)
    plain = (_PREFIX.sub("", line).removeprefix("Batch job submission failed: ") for line in said)
    return sentence((line for line in plain if not line.startswith("Try ")), done)


def accounting_hint(done: Completed) -> str:
    return 'Set accounting = "scontrol" in its centre.toml.' if "accounting storage is disabled" in done.stderr else ""
