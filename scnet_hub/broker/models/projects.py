"""Projects and their allocations."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from ...services.projects.allocations import WORDS
from .balances import Balance
from .base import Credits, CreditsOrNone, CreditsTaken, Document, Instant, Listed, Prose, Taken, Time, Word, texts

Reason = Annotated[Prose, WithJsonSchema(texts(WORDS))]


class Allocation(Document):
    id: str
    project: str
    unit: str
    amount: Credits
    grantor: str
    centres: list[str]
    begins_at: Time
    ends_at: Time | None
    state: Literal["requested", "approved", "active", "ended", "declined", "withdrawn"]
    asked_by: str
    asked_at: Time
    words: str
    decided_by: str
    decided_at: Time | None
    answer: str
    renews: str
    """The allocation whose unspent credits this allocation takes over when it begins."""


class Allocations(Listed):
    allocations: list[Allocation]


class Wish(Taken):
    """A request for credits."""

    project: Word
    amount: CreditsTaken
    words: Reason = ""
    begins_at: Instant = None
    """Default: now."""
    ends_at: Instant = None
    """Default: never."""
    centres: list[Word] = Field(default=[])
    """The centres where the credits may be spent. Default: all."""
    renews: Word = ""


class Approve(Taken):
    amount: CreditsOrNone = None
    """Default: the requested value."""
    grantor: Word = "federation"
    words: Reason = ""


class Words(Taken):
    words: Reason = ""


class Member(Document):
    person: str
    role: str
    cap: Credits | None
    spent: Credits | None
    held: Credits | None


class Lot(Document):
    name: str
    unit: str
    grantor: str
    ends_at: Time | None
    centres: list[str]
    granted: Credits
    available: Credits
    held: Credits
    spent: Credits
    expired: Credits


class Left(Document):
    at: Time
    left: float


class Ahead(Left):
    lost: float
    """The credits that expire unspent with a lot."""


class Burning(Document):
    past: list[Left]
    """The balance at the end of each of the last thirty days."""
    ahead: list[Ahead]
    """The forecast at the burn rate; empty if the rate is unknown."""


class Project(Balance):
    """A balance, with the project's people, lots and allocations."""

    kind: str
    members: list[Member]
    sees_all: Annotated[bool, Field(description="If false, `spent`, `held` and `cap` of other members are null.")]
    lots: list[Lot]
    allocations: list[Allocation]
    burning: Burning
