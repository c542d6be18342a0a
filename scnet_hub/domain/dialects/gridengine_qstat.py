"""Queries Grid Engine's qstat and its accounting file, and reads the answers: XML and rows into jobs and queue
instances.

Knows states as letters and sizes as text; `gridengine` interprets them. An answer that stops before its end mark is
Garbled.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple
from xml.etree import ElementTree

from ...errors import Garbled, Rejected, Unreachable
from ..commands import Command, Completed
from . import gridengine_states as states
from .command_checks import lines, number, sentence, short

PLAIN = ("env", "TZ=UTC", "LC_ALL=C", "SGE_SINGLE_LINE=1")
JOBS = ("-s", "prsz", "-r", "-xml")
EVERYBODY = ("-u", "*", *JOBS)
ANY = ""  # the queue of a job that accepts any queue
JOB_NAME, JOB_ID, COLUMNS = 4, 5, 45  # accounting(5)
OURS = "scnet-[a-z0-9-]+"
FINAL = frozenset({"0", "37", "100"})  # failures after which a job is not started again
CHUNK = 1 << 16
MOST_TASKS = 10**6  # tasks of one array: Grid Engine's max_aj_tasks is 75,000 by default

# These are single lines, because a login shell may be csh. Without indentation and unused elements, 100,000 jobs take
# 36 MB instead of 80; the last line gives qstat's exit code, which a pipe hides.
_LOOK = (
    '{ qstat "$@"; echo "qstat $?"; } | sed -e "s/^ *//" -e "s/ resource_contribution=[^ >]*//" '
    '-e "/^<JAT_prio/d" -e "/^<JB_owner/d" -e "/^<full_job_name/d" -e "/^<binding/d"'
)
# The wanted rows of the last 256 MiB (0.4 s; a file of years can have gigabytes), id, end and failure of the last rows,
# and the query itself.
_HISTORY = (
    f"column=$1; asked=$2; shift 2; {_LOOK}; cd "
    f'"${{SGE_ROOT:-/var/lib/gridengine}}/${{SGE_CELL:-default}}/common" || exit 1; '
    "if [ ! -e accounting ] && [ -e accounting.jsonl ]; then "
    "echo accounting is written as JSON only: old_accounting=true is missing in reporting_params >&2; exit 1; "
    "elif [ ! -e accounting ]; then echo recent; elif [ ! -r accounting ]; then echo accounting: not readable "
    ">&2; exit 1; else "
    'tail -c 268435456 accounting | grep -E -e "^([^:]*:){$column}($asked):"; echo recent; tail -n 20 accounting '
    "| cut -d: -f6,11,12; fi; "
    'echo "end $asked"'
)

# Arguments for that: the account's own jobs of one name, from the columns of owner and name on. Other users may use any
# name.
_OWN = 'me=$(id -un) || exit 1; name=$1; shift; set -- 3 "$(echo "$me" | sed "s/[.]/[.]/g"):$name" -u "$me" "$@"; '

_NOT_ASKED = re.compile(
    r"unable to (send message to|contact) qmaster|got (send|select|read|connect) (error|timeout)|commlib "
    r"error|gdi request|"
    r"set the environment variable SGE_ROOT|"
    r"(SGE_ROOT|cell) directory .* doesn't exist",
    re.IGNORECASE,
)
_PREFIX = re.compile(r"^(?:error: |Unable to run job: |warning: )+")
# of a resource map with its members: "2(0 1)"
_SIZE = re.compile(r"(\d{1,18}(?:\.\d{0,18})?)([KMGTkmgt]?)(?:\(.*\))?", re.ASCII)
_NUMBER = re.compile(r"\d{1,10}", re.ASCII)
_EXPRESSION = re.compile(r"[*?!|&()\[\]]")  # in a request for queues: any of several (sge_types(1))
_RANGE = re.compile(r"(\d{1,18})(?:-(\d{1,18})(?::(\d{1,18}))?)?", re.ASCII)
_MULTIPLES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


class Job(NamedTuple):
    """One job of the queue. `queue` is the queue that it is in or asks for (ANY: any queue); `since` its start, else
    its submission."""

    id: str
    name: str
    word: str
    queue: str
    node: str
    slots: int
    tasks: int
    since: str
    wants: Mapping[str, str]

    @property
    def ended(self) -> bool:
        return states.ended(self.word)


class Instance(NamedTuple):
    """A queue on one node, with its free resources and the jobs that use the rest."""

    queue: str
    node: str
    state: str
    slots: int
    slots_used: int
    left: Mapping[str, str]
    jobs: Sequence[Job]


class Seen(NamedTuple):
    instances: list[Instance]
    jobs: list[Job]


class Told(NamedTuple):
    """What queue and accounting know about the requested jobs: `rows` are the rows of each run of a job, the last run
    last; `broken` are the rows that can't be read; `recent` are the jobs of accounting's last rows that ended with
    them."""

    jobs: list[Job]
    rows: dict[str, list[list[str]]]
    broken: list[list[str]]
    recent: frozenset[str]
    asked: frozenset[str]


def look(resources: Iterable[str]) -> Command:
    """Queries queue instances with these resources, and the jobs of all users."""
    return Command((*PLAIN, "sh", "-c", _LOOK, "sh", "-F", ",".join(resources), *EVERYBODY))


def history(column: int, asked: Iterable[str]) -> Command:
    """Queries the jobs of all users, and the accounting rows that match one of these extended regular expressions in
    that column."""
    return Command((*PLAIN, "sh", "-c", _HISTORY, "sh", f"{column}", "|".join(asked), *EVERYBODY))


def named(name: str) -> Command:
    """Queries the account's own jobs, and the accounting rows of those whose name matches a regular expression."""
    return Command((*PLAIN, "sh", "-c", _OWN + _HISTORY, "sh", name, *JOBS))


def check_asked(done: Completed) -> None:
    if done.code in (126, 127):
        raise Unreachable(f"Grid Engine's commands were not found: {words(done)}")
    if done.code and _NOT_ASKED.search(f"{done.stderr}\n{done.stdout}"):
        raise Unreachable(f"Grid Engine could not be asked: {words(done)}")


def answered(done: Completed) -> list[str]:
    """Returns the lines of an answer that is not a refusal."""
    check_asked(done)
    if done.code:
        raise Rejected(words(done))
    return lines(done.stdout)


def words(done: Completed) -> str:
    said = (_PREFIX.sub("", line) for line in lines(done.stderr) or lines(done.stdout))
    return sentence((line for line in said if line != "Exiting."), done)


def _qstat(done: Completed) -> tuple[str, list[str]]:
    """Returns qstat's XML and the lines after it. qstat's own exit code is between them."""
    parts = re.split(r"^qstat (\d{1,3})\n", done.stdout, maxsplit=1, flags=re.MULTILINE)
    if len(parts) == 3 and parts[1] != "0":
        done = replace(done, code=int(parts[1]), stdout=parts[0])
    answered(done)
    if len(parts) != 3:
        raise Garbled(f"the answer breaks off: ...{short(done.stdout[-80:])!r}.")
    return parts[0], parts[2].splitlines()


def seen(done: Completed) -> Seen:
    instances: list[Instance] = []
    jobs: list[Job] = []
    before = 0  # jobs that belong to earlier instances
    for element in _elements(_qstat(done)[0]):
        if element.tag == "job_list":
            jobs.append(_job(element))
            element.clear()
        elif element.tag == "Queue-List":
            queue, _, node = (element.findtext("name") or "").partition("@")
            jobs[before:] = (job._replace(queue=queue, node=node) for job in jobs[before:])
            instances.append(_instance(element, queue, node, jobs[before:]))
            before = len(jobs)
            element.clear()
    return Seen(instances, jobs)


def _elements(xml: str) -> Iterator[ElementTree.Element]:
    """Yields jobs and queue instances as they end, in little memory. A document type is refused, so no entity can grow.
    Output of other programs before or after the document is left out."""
    begin, end = re.search(r"<\?xml|<!DOCTYPE|<job_info\b", xml), xml.rfind("</job_info>")
    if not begin or end < begin.start():
        raise Garbled(f"qstat's answer is not a complete document: {short(xml[:80])!r}.")
    xml = xml[begin.start() : end + len("</job_info>")]
    if "<!" in xml:
        raise Garbled("qstat's answer has a document type, which is not allowed.")
    parser: Any = ElementTree.XMLPullParser(("end",))  # Any: the stubs list all kinds of events, this has only one
    try:
        for start in range(0, len(xml), CHUNK):
            parser.feed(xml[start : start + CHUNK])
            yield from (element for _, element in parser.read_events() if element.tag in ("job_list", "Queue-List"))
        parser.close()
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise Garbled(f"qstat's answer is an incomplete document: {error}.") from error


def _job(element: ElementTree.Element) -> Job:
    text = {child.tag: child.text or "" for child in element}
    queues = {child.text for child in element if child.tag == "hard_req_queue"}
    asked = (queues.pop() or "") if len(queues) == 1 else ANY
    if not _NUMBER.fullmatch(text.get("JB_job_number", "")):
        raise Garbled(f"qstat's answer has a job without a number: {short(text.get('JB_job_number', ''))!r}.")
    queue, _, node = (text.get("queue_name") or asked).partition("@")
    return Job(
        id=text.get("JB_job_number", ""), name=text.get("JB_name", ""), word=text.get("state", ""),
        queue=ANY if _EXPRESSION.search(queue) else queue, node=node if text.get("queue_name") else "",
        slots=number(text.get("slots", "")), tasks=_tasks(text.get("tasks", "")),
        since=text.get("JAT_start_time") or text.get("JB_submission_time", ""),
        wants={child.get("name", ""): child.text or "" for child in element if child.tag in ("hard_request",
        "def_hard_request")},
    )  # fmt: skip


def _instance(element: ElementTree.Element, queue: str, node: str, jobs: Sequence[Job]) -> Instance:
    count = {tag: number(element.findtext(tag) or "") for tag in ("slots_total", "slots_used", "slots_resv")}
    return Instance(
        queue=queue, node=node, state=element.findtext("state") or "", slots=count["slots_total"],
        slots_used=count["slots_used"] + count["slots_resv"],
        left={one.get("name", ""): one.text or "" for one in element.findall("resource") if not one.get("type",
        "").startswith("g")}, jobs=tuple(jobs),
    )  # fmt: skip


def told(done: Completed) -> Told:
    _, after = _qstat(done)
    end = next((place for place in range(len(after) - 1, -1, -1) if after[place].startswith("end ")), 0)
    if "recent" not in after[:end]:
        raise Garbled(f"the answer breaks off: ...{short(done.stdout[-80:])!r}.")
    cut = after.index("recent")
    rows = [line.split(":") for line in after[:cut]]
    broken = [row for row in rows if len(row) < COLUMNS or not _NUMBER.fullmatch(row[JOB_ID])]
    if broken and len(broken) == len(rows):
        raise Garbled(f"accounting has an incomplete row: {short(':'.join(broken[0]))!r}.")
    own: dict[str, list[list[str]]] = {}
    for row in rows:
        # the others are tasks of a parallel job
        if len(row) >= COLUMNS and _NUMBER.fullmatch(row[JOB_ID]) and row[41] == "NONE":
            own.setdefault(row[JOB_ID], []).append(row)
    last = [line.split(":") for line in after[cut + 1 : end]]
    recent = frozenset(row[0] for row in last if len(row) == 3 and row[1] != "0" and row[2] in FINAL)
    return Told(
        seen(done).jobs, own, broken, recent, frozenset(after[end].removeprefix("end ").rpartition(":")[2].split("|"))
    )


def never_started(job: Job, told: Told) -> bool:
    """Returns whether a job that has ended will have no row in accounting. Accounting is written some time after an
    end, in the order of ends: the row will never come if a job that ended later already has its row."""
    ended = [one.id for one in told.jobs if one.ended]
    return not told.recent.isdisjoint(ended[ended.index(job.id) + 1 :])


def _tasks(text: str) -> int:
    """Returns how many tasks "1-9:2,12" are, at most `MOST_TASKS`; 1 for a job that is not an array."""
    ranges = ((number(first), number(last or first), number(step or "1")) for first, last, step in _RANGE.findall(text))
    return min(sum(max(last - first, 0) // max(step, 1) + 1 for first, last, step in ranges) or 1, MOST_TASKS)


def size(text: str) -> float:
    match = _SIZE.fullmatch(text)
    return float(match[1]) * _MULTIPLES[match[2]] if match else 0.0


def time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        return None
