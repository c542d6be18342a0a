"""Interprets OAR's data about one job: its state, its place in the queue, its walltime and node, how it ended, and at
whose request."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from ..jobs import Ending, JobState, JobStatus
from .command_checks import FOR_EVER
from .oar_answers import (
    STATES,
    Facts,
    moment_of,
    number_of,
    text,
)

TELLING = frozenset({"Hold", "Suspended", "Resuming", "toError"})
# Events of a job in error that are neither the site's fault nor requested.
THE_JOBS = frozenset({"WORKING_DIRECTORY", "OUTPUT_FILES", "USER_SHELL"})


def status_of(facts: Facts, at: datetime, place: int) -> JobStatus:
    word = facts["state"]
    state = STATES.get(word, JobState.UNKNOWN)
    return JobStatus(
        state=state, seen_at=at, name=facts.get("name") or "", node=node_of(facts),
        reason=word if word in TELLING or state is JobState.UNKNOWN else "",
        starts_at=moment_of(facts.get("scheduledStart")) if state is JobState.QUEUED else None, place=place,
    )  # fmt: skip


def places_of(jobs: Mapping[str, Facts]) -> dict[str, int]:
    """Returns the place of each waiting job among those of its queue, 1 first: by the start that OAR expects, then by
    age."""
    waiting: dict[str, list[tuple[float, int, str]]] = defaultdict(list)
    for job, facts in jobs.items():
        if facts["state"] == "Waiting":
            waiting[facts["queue"]].append((number_of(facts.get("scheduledStart")) or float("inf"), int(job), job))
    return {job: place for queued in waiting.values() for place, (_, _, job) in enumerate(sorted(queued), 1)}


def ending_of(facts: Facts) -> Ending:
    """Returns how a job ended: by its exit code, else by the events up to its end. A request to end it came from a
    person, unless its walltime was over or a better job needed the place; an end without a request is the site's."""
    code = exit_code_of(facts)
    if code is not None:
        return Ending.FAILED if code else Ending.COMPLETED
    events = {event.get("type") for event in _events(facts)}
    if "WALLTIME" in events:
        return Ending.TIMEOUT
    if events & THE_JOBS:
        return Ending.FAILED
    if "BESTEFFORT_KILL" in events:
        return Ending.PREEMPTED
    return Ending.CANCELLED if "FRAG_JOB_REQUEST" in events else Ending.SITE_FAILURE


def _events(facts: Facts) -> list[Mapping[str, Any]]:
    """Returns the events up to the job's end."""
    stopped = number_of(facts.get("stopTime")) or float("inf")  # 0: the job had not started
    return [event for event in facts.get("events") or () if number_of(event.get("date")) <= stopped]


def ended_by(facts: Facts) -> str:
    """Returns the account in "User lovela requested to frag the job 2"."""
    wishes = (event for event in _events(facts) if event.get("type") == "FRAG_JOB_REQUEST")
    asked = (re.match(r"User (\S{1,64}) requested", text(wish.get("description"))) for wish in wishes)
    return next((match[1] for match in asked if match), "")


def exit_code_of(facts: Facts) -> int | None:
    """Returns the status that wait(2) gave; None if the program was killed."""
    match = re.match(r"\d{1,9}", text(facts.get("exit_code")))
    return int(match[0]) if match else None


def cores_asked(facts: Facts) -> int:
    """Returns the resources that a waiting job asks for: the R of "R=2,W=0:10:0,J=B,N=x"."""
    match = re.match(r"R=(\d{1,9})", facts.get("message") or "")
    return int(match[1]) if match else 1


def walltime_of(facts: Facts) -> timedelta | None:
    seconds = number_of(facts.get("walltime"))
    return timedelta(seconds=min(seconds, FOR_EVER.total_seconds())) if seconds else None


def node_of(facts: Facts) -> str:
    names = facts.get("assigned_network_address") or [""]
    return str(names[0])
