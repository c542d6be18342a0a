"""The form of a refusal: RFC 9457, with a stable `code`."""

from __future__ import annotations

from .base import Document, Json


class Problem(Document):
    """Why a call was refused, and what to do."""

    type: str
    title: str
    """A sentence: what happened, what was given, what is allowed."""
    status: int
    code: str
    """Stable: programs branch on it."""
    family: str
    """The code of the more general refusal that includes this refusal."""
    hint: str
    """What to try."""
    acts: str
    """Who must act."""
    details: Json | None = None
    """Facts about the refusal, depending on its code."""
