"""Leases: an interactive session holds credits for a limited time ahead, extended while it lives, instead of for its
whole walltime.

Computes how long a lease lasts, what it costs until an instant, and when its owner is warned and the session is stopped
if no credits are added. No run that ends within its lease costs more than what is held for it. Pure:
`services/sessions/lease_keeper.py` asks the ledger and carries it out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ...units import Amount, format_duration
from ..jobs import JobRequest
from ..months import period_of
from . import quotes
from . import rates as pricing
from .tariffs import Tariff

LEASED = ("lab", "dask")  # kinds; a batch job has no one to warn, and would lose its results
WARNED, URGENT, STOPPED = timedelta(minutes=15), timedelta(minutes=5), timedelta(minutes=2)  # before the lease ends
LAG = timedelta(minutes=2)  # a run may have begun this long before its centre reported it
STEP = timedelta(minutes=5)  # where the whole extension is too expensive, a shorter one is at least this long
USUAL = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One job of a session, running since it was first seen running (None: it waits). `memory` is in bytes, for a
    request that doesn't state it."""

    request: JobRequest
    tariff: Tariff
    memory: int = 0
    started_at: datetime | None = None

    @property
    def ends_at(self) -> datetime | None:
        """Returns the end of its walltime."""
        return self.started_at + self.request.walltime if self.started_at else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A session's hold should last `until`, which is as far as it needs to reach if it is `whole`."""

    until: datetime
    whole: bool = False


def first_for(kind: str, walltime: timedelta, length: timedelta) -> timedelta:
    """Returns how long the hold at a session's start lasts; a `length` of 0 stands for the whole walltime."""
    return min(walltime, length) if kind in LEASED and length > timedelta() else walltime


def until_first(now: datetime, kind: str, walltime: timedelta, length: timedelta) -> datetime | None:
    """Returns until when a session that starts, or still waits, at `now` holds enough; None: for its whole walltime."""
    first = first_for(kind, walltime, length)
    return None if first >= walltime else now + max(first - LAG, LAG)


def due_by(now: datetime, length: timedelta) -> datetime:
    """Returns the time by which leases must end to be extended now: less than half of a lease is left."""
    return now + (length or USUAL) / 2


def wish(runs: Sequence[Run], now: datetime, length: timedelta) -> Wish:
    """Returns how far a session's lease should reach: for a waiting session a first lease from now on, else one length
    ahead or to the end of its runs."""
    ends = [run.ends_at for run in runs if run.ends_at]
    if not ends:
        walltime = max(run.request.walltime for run in runs)
        ahead = until_first(now, LEASED[0], walltime, length)
        return Wish(until=ahead or now + walltime, whole=ahead is None)
    last = max(ends)
    ahead = now + length if length else last
    return Wish(until=min(ahead, last), whole=ahead >= last)


def cost(run: Run, now: datetime, until: datetime, length: timedelta, zone: str) -> Amount:
    """Returns the most that a run costs that ends by `until`, cut at the months of `zone`; for a waiting run, the cost
    of its first lease. Raises NoPrice."""
    if run.started_at is None:
        first = first_for(LEASED[0], run.request.walltime, length)
        return quotes.most(run.request, run.tariff, now, now + quotes.PATIENCE, memory=run.memory, walltime=first)
    whole = quotes.most(run.request, run.tariff, run.started_at - LAG, run.started_at, memory=run.memory)
    return min(whole, _so_far(run, run.started_at - LAG, max(until, run.started_at), zone))


def _so_far(run: Run, start: datetime, until: datetime, zone: str) -> Amount:
    """Returns the cost from the earliest time at which the run may have begun."""
    amounts = pricing.held(run.request.cores, run.request.gpus, run.request.gpu_model, run.request.memory or run.memory)
    bill = pricing.bill_of_run(run.tariff, amounts, start, until, cuts=[*_months(start, until, zone)])
    rates = [run.tariff.at(at) for at in (start, *run.tariff.cuts(start, start + LAG), start + LAG)]
    return pricing.bill(bill.costs, Amount(max(one.minimum for one in rates), run.tariff.unit)).total


def _months(start: datetime, end: datetime, zone: str) -> Iterator[datetime]:
    edge = period_of(start, zone).end
    while edge < end:
        yield edge
        edge = period_of(edge, zone).end


def longest(
    cost_until: Callable[[datetime], Amount], after: datetime, before: datetime, limit: Amount
) -> datetime | None:
    """Returns the latest whole minute from `after`, at least one step later, until which the cost is at most `limit`;
    None if there is none."""
    least, most = STEP // timedelta(minutes=1), (before - after) // timedelta(minutes=1)
    if most < least or cost_until(after + STEP) > limit:
        return None
    while least < most:
        middle = (least + most + 1) // 2
        if cost_until(after + timedelta(minutes=middle)) <= limit:
            least = middle
        else:
            most = middle - 1
    return after + timedelta(minutes=least)


# ---- when no credits are added


def why_not(who: str, left: Amount, more: Amount, ahead: timedelta) -> str:
    """Returns the reason: "Project climate has 0.03 credits left, and 30 min more of this session cost up to 0.40
    credits." """
    return f"{who} {left} left, and {format_duration(ahead)} more of this session cost up to {more}."


def stops_at(leased_until: datetime | None, lease_end: str) -> datetime | None:
    """Returns when a session is stopped whose lease can't be extended; None: it continues."""
    return leased_until - STOPPED if leased_until and lease_end else None
