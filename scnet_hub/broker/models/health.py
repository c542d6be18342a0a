"""Whether the broker is well."""

from __future__ import annotations

from typing import Literal

from .base import Document, Seconds


class Requests(Document):
    """Requests at this moment."""

    at_work: int
    in_line: int
    resting: int
    """They wait for a change."""
    most: int
    """Ever at work."""
    refused: int


class Health(Document):
    ok: bool
    state: Literal["ok", "degraded", "starved"]
    """degraded: a centre's file system on this machine hangs · starved: the event loop or a pool of threads is"""
    why: list[str]
    """Sentences."""
    version: str
    centres: int
    read_only: str
    """A sentence while nothing can be written, as on a full disk; else ""."""
    loop_late_s: Seconds
    waits_s: dict[str, Seconds]
    """By pool."""
    requests: Requests
