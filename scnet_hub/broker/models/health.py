"""The health of the broker."""

from __future__ import annotations

from typing import Literal

from .base import Document, Seconds


class Requests(Document):
    """The number of requests at this moment."""

    at_work: int
    in_line: int
    resting: int
    """Requests that wait for a change."""
    most: int
    """The most requests that were ever at work."""
    refused: int


class Health(Document):
    ok: bool
    state: Literal["ok", "degraded", "starved"]
    """degraded: the file system of a centre hangs on this machine · starved: the event loop or a pool of threads is
    starved"""
    why: list[str]
    """Sentences."""
    version: str
    centres: int
    read_only: str
    """A sentence while nothing can be written, as on a full disk; "" otherwise."""
    loop_late_s: Seconds
    waits_s: dict[str, Seconds]
    """By pool."""
    requests: Requests
