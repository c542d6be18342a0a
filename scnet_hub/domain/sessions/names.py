"""Names of sessions and their copies, and the request that a session was started by."""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import timedelta
from typing import Any

from ..jobs import JobRequest
from .records import Copy, Session

PREFIX = "scnet-"
ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
_NAME = re.compile(rf"{PREFIX}([{ALPHABET}]{{12}})(?:-([2-9]|[1-9]\d))?", re.ASCII)


def label(copy: Copy) -> str:
    """Returns the name of a copy's job and folder: "abc" for the first, "abc-2" for the second."""
    return copy.session if copy.number == 1 else f"{copy.session}-{copy.number}"


def job_name(copy: Copy) -> str:
    return PREFIX + label(copy)


def copy_of(name: str) -> tuple[str, int] | None:
    """Returns the session and the number of the copy that a job's name refers to; None if the name is not ours."""
    match = _NAME.fullmatch(name)
    return (match[1], int(match[2] or 1)) if match else None


def hashed(nonce: str) -> str:
    return hashlib.sha256(nonce.encode()).hexdigest()


def nonce_matches(copy: Copy, nonce: str) -> bool:
    return hmac.compare_digest(copy.nonce, hashed(nonce))


def request_document(request: JobRequest) -> dict[str, Any]:
    """Returns a request as JSON; `request_of` reads it back."""
    fields = {name: getattr(request, name) for name in JobRequest.__dataclass_fields__ if name != "walltime"}
    return {**fields, "walltime_s": request.walltime.total_seconds()}


def request_of(document: dict[str, Any]) -> JobRequest:
    fields = {**document, "centres": tuple(document.get("centres", ()))}
    return JobRequest(walltime=timedelta(seconds=fields.pop("walltime_s")), **fields)


def asked(session: Session) -> JobRequest:
    """Returns the request that a session was started by."""
    return request_of({"person": session.person, "project": session.project, **session.request})
