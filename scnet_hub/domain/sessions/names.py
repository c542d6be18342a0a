"""What a session and its copies are called, and the request that a session was started by."""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import timedelta
from typing import Any

from ..jobs import JobRequest
from .records import SessionRow

PREFIX = "scnet-"
ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
_NAME = re.compile(rf"{PREFIX}([{ALPHABET}]{{12}})(?:-([2-9]|[1-9]\d))?", re.ASCII)


def label(row: SessionRow) -> str:
    """What a copy's job and folder are called by: "abc" for the first, "abc-2" for the second."""
    return row.id if row.number == 1 else f"{row.id}-{row.number}"


def job_name(row: SessionRow) -> str:
    return PREFIX + label(row)


def copy_of(name: str) -> tuple[str, int] | None:
    """The session and the number of the copy that a job of this name is; None if it is none of ours."""
    match = _NAME.fullmatch(name)
    return (match[1], int(match[2] or 1)) if match else None


def hashed(nonce: str) -> str:
    return hashlib.sha256(nonce.encode()).hexdigest()


def nonce_matches(row: SessionRow, nonce: str) -> bool:
    return hmac.compare_digest(row.nonce, hashed(nonce))


def request_document(request: JobRequest) -> dict[str, Any]:
    """A request as JSON; `request_of` reads it back."""
    fields = {name: getattr(request, name) for name in JobRequest.__dataclass_fields__ if name != "walltime"}
    return {**fields, "walltime_s": request.walltime.total_seconds()}


def request_of(document: dict[str, Any]) -> JobRequest:
    fields = {**document, "centres": tuple(document.get("centres", ()))}
    return JobRequest(walltime=timedelta(seconds=fields.pop("walltime_s")), **fields)


def asked(row: SessionRow) -> JobRequest:
    """What a session was started by."""
    return request_of({"person": row.person, "project": row.project, **row.request})
