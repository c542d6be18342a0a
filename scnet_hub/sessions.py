"""What a session and its copies are called, and the request that a session was started by."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from datetime import timedelta
from typing import Any

from .db.sessions import SessionRow
from .jobs import JobRequest

PREFIX = "scnet-"
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
_NAME = re.compile(rf"{PREFIX}([{_ALPHABET}]{{12}})(?:-([2-9]|[1-9]\d))?", re.ASCII)


def new_id() -> str:
    """Twelve characters without look-alikes: 60 bits, so that a job's name is unique for ever."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(12))


def label(row: SessionRow) -> str:
    """What a copy's job and folder are called by: "abc" for the first, "abc-2" for the second."""
    return row.id if row.number == 1 else f"{row.id}-{row.number}"


def job_name(row: SessionRow) -> str:
    return PREFIX + label(row)


def copy_of(name: str) -> tuple[str, int] | None:
    """The session and the number of the copy that a job of this name is; None if it is none of ours."""
    match = _NAME.fullmatch(name)
    return (match[1], int(match[2] or 1)) if match else None


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
    fields = {**document, "centres": tuple(document.get("centres", ()))}
    return JobRequest(walltime=timedelta(seconds=fields.pop("walltime_s")), **fields)


def asked(row: SessionRow) -> JobRequest:
    """What a session was started by."""
    return request_of({"person": row.person, "project": row.project, **row.request})
