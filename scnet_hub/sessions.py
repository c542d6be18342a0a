"""The life of a session, decided without I/O: names, and what a centre's word about a job changes.

    intent → submitted → queued → starting → ready → ended → charged        (stopping: from any live state)

Unknown is not a state but a mark with a since and a why: it keeps the session and its hold (law 1).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from typing import Any

from .db.sessions import SessionRow
from .jobs import JobRequest, JobState, JobStatus
from .units import format_duration

WAITING = ("intent", "submitted", "queued", "starting")
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"


def new_id() -> str:
    """Twelve characters without look-alikes: 60 bits, so that a job's name is unique for ever."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(12))


def job_name(session_id: str) -> str:
    return f"scnet-{session_id}"


def new_nonce() -> tuple[str, str]:
    """A nonce for the job and its hash for the database."""
    nonce = secrets.token_urlsafe(24)
    return nonce, hashed(nonce)


def hashed(nonce: str) -> str:
    return hashlib.sha256(nonce.encode()).hexdigest()


def nonce_matches(row: SessionRow, nonce: str) -> bool:
    return hmac.compare_digest(row.nonce, hashed(nonce))


def request_document(request: JobRequest) -> dict[str, Any]:
    """A request as JSON; `request_of` reads it back."""
    fields = {name: getattr(request, name) for name in JobRequest.__dataclass_fields__ if name != "walltime"}
    return {**fields, "walltime_s": request.walltime.total_seconds()}


def request_of(document: dict[str, Any]) -> JobRequest:
    fields = dict(document)
    return JobRequest(walltime=timedelta(seconds=fields.pop("walltime_s")), **fields)


def after(row: SessionRow, status: JobStatus) -> dict[str, Any]:
    """The columns of a live session that the centre's word about its job changes; empty if none."""
    if status.state is JobState.UNKNOWN:
        return (
            {}
            if row.unknown_since
            else {"unknown_since": status.seen_at, "unknown_why": status.reason or "the centre does not know this job"}
        )
    wanted: dict[str, Any] = {"unknown_since": None, "unknown_why": "", "reason": status.reason, "place_in_queue": status.place}
    if status.node:
        wanted["node"] = status.node
    if status.state.ended:
        wanted |= {"state": "ended", "live": False, "ended_at": status.seen_at, "payload": {}, "place_in_queue": 0}
        wanted["end_reason"] = end_reason(row, status)
    elif status.state is JobState.RUNNING:
        wanted |= {"started_at": row.started_at or status.seen_at, "reason": ""}
        if row.state in WAITING:
            wanted["state"] = "starting"
    elif row.state in WAITING:
        wanted["state"] = "queued"
    return {column: value for column, value in wanted.items() if getattr(row, column) != value}


def end_reason(row: SessionRow, status: JobStatus) -> str:
    """Why a job ended, in words for its owner."""
    if row.cancelled_at:
        return row.end_reason or "Stopped on request."
    why = f" ({status.reason})" if status.reason and status.reason.lower() not in ("none", status.state.value) else ""
    return {
        JobState.COMPLETED: "The program ended by itself.",
        JobState.CANCELLED: f"Cancelled at the centre{why}.",
        JobState.LOST: f"Lost by the centre{why}: not charged.",
    }.get(status.state, f"The job failed{why}.")


def event(row: SessionRow, change: dict[str, Any]) -> str:
    """The line for the session's log that a change deserves; "" if none."""
    state = change.get("state", "")
    if change.get("unknown_since"):
        return f"{row.centre} cannot say how the job is: {change['unknown_why']}. The session is kept."
    if state == "ended":
        return str(change.get("end_reason", row.end_reason))
    if state == "starting":
        return f"Running at {row.centre}" + (f" on {change['node']}" if change.get("node") else "") + ": the session is starting."
    reason, place = change.get("reason", row.reason), change.get("place_in_queue", row.place_in_queue)
    if (state or row.state) == "queued" and (state or "reason" in change or "place_in_queue" in change):
        where = f"number {place} in the queue" if place else "in the queue"
        return f"{row.centre}: {where}" + (f" (waiting for: {reason})." if reason and reason != "None" else ".")
    return ""


def walltime_end(row: SessionRow) -> datetime | None:
    return row.started_at + timedelta(seconds=row.request["walltime_s"]) if row.started_at and row.live else None


def still_there(row: SessionRow, now: datetime) -> str:
    """How long a session has been going, for people."""
    return format_duration(now - row.created_at)
