"""The life cycle of a copy, which is one job of a session at a centre: its states, the events, and where they lead;
decided without I/O.

`ARROWS` is complete: an event that is not in it changes nothing. A session has the state of its leading copy (`lead`,
`state_of`). Unknown is not a state but a mark, with a since and a why, on any of them: it keeps the copy, the session
and the hold (law 1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ...display import endings, session_states
from ...display.session_states import (
    CHARGED,
    ENDED,
    INTENT,
    LIVE,
    QUEUED,
    READY,
    STARTING,
    STOPPING,
    SUBMITTED,
    UNTIL_READY,
    WITHOUT_NODE,
)  # fmt: skip
from ..jobs import JobState, JobStatus
from .records import BriefRow, Copy, Session, SessionCopy

STATES = tuple(session_states.STATES)
_WITH_JOB = tuple(state for state in LIVE if state != INTENT)
ON_REQUEST = "Stopped on request."


class Arrow(NamedTuple):
    """Leads from `before`, by `event`, to `then`."""

    before: str
    event: str
    then: str


EVENTS: Mapping[str, str] = {
    "accepted": "its centre gave it a job id, or a job of its name was found there",
    "waits": "its centre's queue lists it as waiting",
    "runs": "its centre's queue lists it as running, or its first process called home",
    "listens": "it called home with its own nonce and can be reached (other kinds: it called home)",
    "stop": "a stop was requested, another copy won, or its centre says that it can never start",
    "withdrawn": "its centre certainly never took it, and will not be asked again",
    "ends": "its centre's queue or accounting says that it ended",
    "written off": "its centre answers, and has not known it for longer than the page's `forget_after`; or an "
    "operator says so",
    "settled": "its usage record is in, or nothing ran",
}

ARROWS: tuple[Arrow, ...] = tuple(
    Arrow(before, event, then)
    for befores, event, then in (
        ((INTENT,), "accepted", SUBMITTED),
        ((SUBMITTED, STARTING), "waits", QUEUED),
        (WITHOUT_NODE, "runs", STARTING),
        (UNTIL_READY, "listens", READY),
        ((*UNTIL_READY, READY), "stop", STOPPING),
        ((INTENT, STOPPING), "withdrawn", CHARGED),
        (_WITH_JOB, "ends", ENDED),
        (_WITH_JOB, "written off", CHARGED),
        ((ENDED,), "settled", CHARGED),
    )
    for before in befores
)
_THEN = {(arrow.before, arrow.event): arrow.then for arrow in ARROWS}


def step(state: str, event: str) -> str:
    """Returns the state to which `event` leads from `state`; `state` itself if there is no such arrow."""
    return _THEN.get((state, event), state)


def after(row: SessionCopy, status: JobStatus) -> dict[str, Any]:
    """Returns the columns of a live copy that its centre's answer about its job changes; empty if none."""
    copy = row.copy
    if status.state is JobState.UNKNOWN:
        return _changed(copy, _unknown(copy, status))
    wanted: dict[str, Any] = {
        "unknown_since": None, "unknown_why": "", "forgotten_since": None, "reason": status.reason,
        "place_in_queue": status.place, "node": status.node or copy.node,
    }  # fmt: skip
    if status.state.ended:
        wanted |= {
            "state": step(copy.state, "ends"),
            "live": False,
            "ended_at": status.seen_at,
            "secret": "",
        }
        wanted |= {"place_in_queue": 0, "end_reason": end_reason(row, status)}
    elif status.state is JobState.RUNNING:
        wanted |= {
            "started_at": copy.started_at or status.seen_at,
            "reason": "",
            "state": step(copy.state, "runs"),
        }
    else:
        wanted["state"] = step(copy.state, "waits")
    return _changed(copy, wanted)


def _unknown(copy: Copy, status: JobStatus) -> dict[str, Any]:
    """Marks the copy unknown since the first time, with the newest reason."""
    return {
        "unknown_since": copy.unknown_since or status.seen_at,
        "unknown_why": status.reason or copy.unknown_why or "the centre does not know this job",
        "forgotten_since": (copy.forgotten_since or status.seen_at) if status.forgotten else None,
    }


def _changed(copy: Copy, wanted: Mapping[str, Any]) -> dict[str, Any]:
    return {column: value for column, value in wanted.items() if getattr(copy, column) != value}


def end_reason(row: SessionCopy, status: JobStatus) -> str:
    """Returns why a job ended, in words for its owner."""
    if row.copy.cancelled_at:
        return row.copy.end_reason or ON_REQUEST
    asked = row.session.request
    return endings.happened(
        status.state.value, status.reason, walltime=timedelta(seconds=asked["walltime_s"]), memory=asked["memory"]
    )


def event_line(copy: Copy, change: Mapping[str, Any]) -> str:
    """Returns the line for the session's log about a change of a copy; "" if the change needs none."""
    state = change.get("state", "")
    if change.get("unknown_since"):
        return f"{copy.centre} cannot report the state of the job: {change['unknown_why']}. The session is kept."
    if state == ENDED:
        return (
            f"{copy.centre}: {change.get('end_reason', copy.end_reason)}"
            if copy.number > 1
            else str(change.get("end_reason", copy.end_reason))
        )
    if state == STARTING:
        return (
            f"Running at {copy.centre}"
            + (f" on {change['node']}" if change.get("node") else "")
            + ": the session is starting."
        )
    reason, place = change.get("reason", copy.reason), change.get("place_in_queue", copy.place_in_queue)
    if (state or copy.state) == QUEUED and (state or "reason" in change or "place_in_queue" in change):
        where = f"number {place} in the queue" if place else "in the queue"
        return f"{copy.centre}: {where}" + (f" (waiting for: {reason})." if reason and reason != "None" else ".")
    return ""


# ---- a session by its copies


def lead(rows: Sequence[SessionCopy]) -> Copy:
    """Returns the leading copy: the one that was ready first; before that, of the live copies, the one that is furthest
    at a centre that can report on it; the last that ended, if none lives."""
    if rows[0].session.ready_at:
        return next(row.copy for row in rows if row.leads)
    copies = [row.copy for row in rows]
    live = [copy for copy in copies if copy.live]
    if live:
        wanted = [copy for copy in live if not copy.cancelled_at] or live
        return max(wanted, key=lambda copy: (copy.unknown_since is None, STATES.index(copy.state), -copy.number))
    return max(copies, key=lambda copy: (copy.ended_at or copy.asked_at, copy.number))


def state_of(rows: Sequence[SessionCopy]) -> str:
    """Returns a live session's state: "stopping" once a stop was requested, else its leading copy's."""
    return STOPPING if rows[0].session.cancelled_at else lead(rows).state


def walltime_end(session: Session | BriefRow, started_at: datetime | None) -> datetime | None:
    return started_at + timedelta(seconds=session.request["walltime_s"]) if started_at and session.live else None
