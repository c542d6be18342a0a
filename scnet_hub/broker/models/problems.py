"""What a refusal looks like: RFC 9457, with a stable `code`."""

from __future__ import annotations

from .base import Document, Json


class Problem(Document):
    """Why a call was refused, and what to do."""

    type: str
    title: str
    """The sentence: what happened, what was given, what is allowed."""
    status: int
    code: str
    """Stable: programs branch by it."""
    family: str
    """The code of the more general refusal that this one is a kind of."""
    hint: str
    """What to try."""
    acts: str
    """Who must do something."""
    details: Json | None = None
    """Facts about the refusal, by its code."""
