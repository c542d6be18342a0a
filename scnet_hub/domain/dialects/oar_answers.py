"""Reads the answers of OAR's commands: JSON into jobs and resources whose values have OAR's types, its states and its
refusals.

Does not interpret jobs. An answer that is incomplete, or has other content, is Garbled; output of other programs before
or after a document is left out: OAR begins its own documents at the start of a line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from ...errors import Garbled, Rejected, Unreachable
from ..commands import Completed
from ..jobs import JobState
from .command_checks import lines, moment, number, sentence, short

Facts = Mapping[str, Any]

# docs/admin/database-scheme of OAR 2.5 ("jobs", "resources") and its pg_structure.sql: all states that exist.
STATES: Mapping[str, JobState] = {
    **dict.fromkeys(("Waiting", "Hold", "toAckReservation", "toLaunch", "Launching"), JobState.QUEUED),
    **dict.fromkeys(("Running", "Suspended", "Resuming", "Finishing", "toError"), JobState.RUNNING),
}
ENDED = ("Terminated", "Error")
RESOURCE_STATES = frozenset({"Alive", "Absent", "Suspected", "Dead"})
DRAIN = frozenset({"NO", "YES"})
# available_upto: not set; oar.conf has 2147483646 for "wake up and halt for ever", 0 for maintenance
NOT_SAID = 2147483647

WITHIN = 14  # seconds for a command that needs the database (`oar.ASK_FIRST`)
ALARM = 128 + 14
NOTHING = frozenset({"", "0", "none", "no", "null"})

_NOT_ASKED = re.compile(r"DB connection error|DBI connect|could not connect|cannot connect to", re.IGNORECASE)
_BEGIN = re.compile(r"^\{", re.MULTILINE)
_JOB = re.compile(r"\d{1,10}", re.ASCII)
_DECODER = json.JSONDecoder()
_TEXTS = ("name", "message", "wanted_resources", "properties")
_LISTS: Mapping[str, type | tuple[type, ...]] = {
    "assigned_resources": (int, str),
    "assigned_network_address": str,
    "events": dict,
}


def check_asked(done: Completed) -> None:
    if done.code in (126, 127):
        raise Unreachable(f"OAR's commands were not found: {words(done)}")
    if done.code == ALARM:
        raise Unreachable(f"OAR could not be asked: no answer within {WITHIN} s. Its database may be away.")
    if done.code and _NOT_ASKED.search(done.stderr):
        raise Unreachable(f"OAR could not be asked: {words(done)}")


def check_said_yes(done: Completed) -> None:
    check_asked(done)
    if done.code:
        raise Rejected(words(done))


def words(done: Completed) -> str:
    said = (re.sub(r"^(?:/!\\ )?\[?ERROR\]? ?:? ", "", line) for line in lines(done.stderr) or lines(done.stdout))
    return sentence((line for line in said if not line.startswith("Oarsub failed")), done)


def document(done: Completed) -> dict[str, dict[str, Any]]:
    """Returns the JSON of oarstat and oarnodes; an empty document for an empty answer."""
    check_said_yes(done)
    found = _decoded(done.stdout) if done.stdout.strip() else {}
    if not isinstance(found, dict) or not all(isinstance(one, dict) for one in found.values()):
        raise Garbled(f"OAR's answer has another form than expected: {short(done.stdout)!r}.")
    return found


def _decoded(text: str) -> Any:
    """Returns the last document that begins at the start of a line. An empty document counts only if no incomplete
    document precedes it."""
    why: Exception | None = None
    for begin in _BEGIN.finditer(text):
        try:
            found, end = _DECODER.raw_decode(text, begin.start())
        except (ValueError, RecursionError) as error:
            why = error
            continue
        if (found or not why) and not _BEGIN.search(text, end):
            return found
    raise Garbled(f"OAR's answer is not a complete document: {why or short(text)}.") from why


def jobs(done: Completed) -> dict[str, dict[str, Any]]:
    found = document(done)
    if bad := next((job for job, facts in found.items() if not is_job(job, facts)), None):
        raise Garbled(
            f"OAR's answer has job {bad[:20]!r} without a state or queue, or with values that OAR does not define."
        )
    return found


def is_job(job: str, facts: Facts) -> bool:
    """Returns whether it has a number, a state and a queue, and its other values have OAR's types."""
    named = all(isinstance(facts.get(key), str) and facts[key] for key in ("state", "queue"))
    texts = all(facts.get(key) is None or isinstance(facts[key], str) for key in _TEXTS)
    return (
        bool(_JOB.fullmatch(job))
        and named
        and texts
        and all(_is_list(facts.get(key), kind) for key, kind in _LISTS.items())
    )


def _is_list(value: Any, kind: type | tuple[type, ...]) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(one, kind) for one in value))


def table(done: Completed) -> list[dict[str, Any]]:
    return list(document(done).values())


def takes_jobs(resource: Facts, at: datetime) -> bool:
    """Returns whether OAR would start a job on it: the resource is alive, or asleep to save energy and can be woken
    (`available_upto`), and not drained."""
    state, until = text(resource.get("state")), number_of(resource.get("available_upto"))
    asleep = state == "Absent" and at.timestamp() < until < NOT_SAID
    return (state == "Alive" or asleep) and text(resource.get("drain")) in ("", "NO")


def strange(resources: Iterable[Facts], found: Iterable[Facts]) -> tuple[str, ...]:
    """Returns sentences about unknown states of resources and jobs."""
    odd = {
        f"resource state {short(text(one.get('state')))!r}"
        for one in resources
        if text(one.get("state")) not in RESOURCE_STATES
    }
    odd |= {
        f"drain {short(text(one['drain']))!r}"
        for one in resources
        if one.get("drain") and text(one["drain"]) not in DRAIN
    }
    return tuple(
        sorted(odd | {f"job state {short(one['state'])!r}" for one in found if one["state"] not in {*STATES, *ENDED}})
    )


def moment_of(value: Any) -> datetime | None:
    return moment(number_of(value))


def number_of(value: Any) -> int:
    return number(text(value))


def named(value: Any) -> str:
    """Returns a property's value, "" if it means that there is none."""
    said = text(value)
    return "" if said.lower() in NOTHING else said


def text(value: Any) -> str:
    return "" if value is None else str(value)
