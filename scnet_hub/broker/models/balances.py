"""The books as projects see them: balances, and the entries that they add up."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from .base import Credits, DatedList, Day, Document, Time
from .centres import Ceiling


class Use(Document):
    used: int
    limit: int


class Quota(Document):
    """The project's ceilings on use at once."""

    sessions: Use
    cores: Use
    gpus: Use


class Own(Document):
    """What a capped member may spend."""

    cap: Credits
    spent: Credits
    held: Credits
    available: Credits
    """The rest of the cap, or of the project where that is less."""


class Ages(Document):
    settled: Time | None
    """When the newest charge was written."""
    in_flight: Time
    """When the oldest look was taken that it rests on."""


class DayCharged(Document):
    day: Day
    charged: Credits


class Balance(Document):
    """What a project may still spend, and how fast it does: `granted = settled + in_flight + held + available`."""

    id: str
    title: str
    unit: str
    granted: Credits
    settled: Credits
    """Charged from the centres' usage records."""
    in_flight: Credits
    """An estimate of what running sessions have used so far."""
    held: Credits
    """The rest of what is reserved for them, for a Lab or a Dask worker its lease."""
    available: Credits
    """May still be spent."""
    expired: Credits
    ending: list[str]
    """Sentences about lots that end soon."""
    own: Own | None
    """null: the caller has no cap."""
    quota: Quota
    my_quota: list[Ceiling]
    """The caller's own ceilings."""
    burn_rate: Credits | None
    """Credits a day over the last week, in flight included; of younger books since they began; null while it is not
    known: all of it was spent today."""
    per_hour: Credits
    """What runs now costs."""
    runs_out_at: Time | None
    """At the burn rate, with lots that end before; null: nothing is spent, not known, or it lasts for three years."""
    runs_out_now_at: Time | None
    """The same if all that runs now runs on."""
    as_of: Ages
    waiting: int
    """Sessions that ended and have no usage record yet."""
    last_days: list[DayCharged]
    """Two weeks, today last."""


class Balances(DatedList):
    balances: list[Balance]


class Posting(Document):
    account: str
    amount: float


class Entry(Document):
    """What the journal says happened. Its postings sum to zero."""

    id: int
    at: Time
    kind: str
    """grant, hold, release, charge, reverse, expire, carry or settle"""
    project: str
    session: str
    memo: str
    postings: list[Posting]


class Entries(Document):
    entries: list[Entry]
    next: int | None
    """The next page's `after`; null on the last page."""


class Audit(Document):
    """Whether the books are right."""

    ok: bool
    entries: int
    sealed: int
    """Entries in the chain."""
    head: str
    """The hash at its end."""
    found: Annotated[int, Field(description="Problems.")]
    problems: list[str]
