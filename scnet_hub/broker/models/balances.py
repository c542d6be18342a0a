"""The books as projects see them: balances, and the entries that they are the sum of."""

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
    """The rest of the cap, or of the project's credits if that is less."""


class Ages(Document):
    settled: Time | None
    """When the newest charge was written."""
    in_flight: Time
    """When the oldest answer of a centre that the estimate uses was taken."""


class DayCharged(Document):
    day: Day
    charged: Credits


class Balance(Document):
    """What a project may still spend, and how fast it spends: `granted = settled + in_flight + held + available`."""

    id: str
    title: str
    unit: str
    granted: Credits
    settled: Credits
    """Charged from the centres' usage records."""
    in_flight: Credits
    """An estimate of what running sessions have used so far."""
    held: Credits
    """The rest of what is reserved for running sessions; for a Lab or a Dask worker the rest of its lease."""
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
    """Credits a day over the last week, in flight included; for younger books since they began; null if unknown:
    everything was spent today."""
    per_hour: Credits
    """The cost of everything that runs now."""
    runs_out_at: Time | None
    """At the burn rate, with the ends of lots; null: no credits are spent, the rate is unknown, or the credits last for
    more than three years."""
    runs_out_now_at: Time | None
    """The same if everything that runs now continues to run."""
    as_of: Ages
    waiting: int
    """Sessions that have ended and have no usage record yet."""
    last_days: list[DayCharged]
    """The last two weeks, today last."""


class Balances(DatedList):
    balances: list[Balance]


class Posting(Document):
    account: str
    amount: float


class Entry(Document):
    """One entry of the journal. Its postings sum to zero."""

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
    """The hash at the end of the chain."""
    found: Annotated[int, Field(description="Problems.")]
    problems: list[str]
