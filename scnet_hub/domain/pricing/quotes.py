"""`quote`: the cost of a session before it starts: low, expected and max, each with its reason, and the rest
afterwards.

A run within the walltime that starts in time never exceeds max; the other two are estimates and state their basis.
Pure: the history comes from the caller, prices from `tariffs.py`, and the sums from `rates.py`, which also makes
charges.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from ...units import Amount, format_duration
from ..jobs import JobRequest
from . import rates as pricing
from .rates import Quantity
from .tariffs import Rates, Tariff, wall_words

PATIENCE = timedelta(days=14)  # a session that has waited longer deserves another look at the prices
# the shortest useful run: a Lab that is opened and closed, a job that finds its input missing
SHORTEST = timedelta(minutes=1)
ENOUGH = 5  # the number of earlier sessions that an estimate needs
UNKNOWN_SHARE = Fraction(1, 2)  # with fewer: half of the walltime
ANY_ZONE = timedelta(hours=14)  # midnight of the first of a month differs from UTC's by at most this, in any zone
SHORTEST_MONTH = timedelta(days=28)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """The cost of a session if it ends at once (`low`), as such sessions do (`expected`), and at most (`max`), if it
    starts by `starts_by`. `rounding` is the part of `max` by which cutting a run at prices and months may raise the
    cost: a few micro-units, often 0. `first` is the hold at its start, which lasts for `first_for`: all of `max`,
    unless the session has a lease that is extended while it runs. `why` gives the reason for each of the three;
    `available` is the project's available credits (None: unknown), `note` a further sentence."""

    low: Amount
    expected: Amount
    max: Amount
    first: Amount
    rounding: Amount
    why: Mapping[str, str]
    walltime: timedelta
    first_for: timedelta
    starts_by: datetime
    available: Amount | None = None
    note: str = ""

    @property
    def after(self) -> Amount | None:
        """Returns the rest if the session costs as expected."""
        return None if self.available is None else self.available - self.expected

    @property
    def after_first(self) -> Amount | None:
        """Returns the rest after the start. Below 0: it can't start."""
        return None if self.available is None else self.available - self.first

    @property
    def after_max(self) -> Amount | None:
        """Returns the rest at the end in the worst case. Below 0: it may have to end earlier, or can't start."""
        return None if self.available is None else self.available - self.max

    def sentences(self) -> tuple[str, ...]:
        """Returns the quote in sentences for people."""
        lines = [
            f"At most {self.max}: {self.why['max']}.",
            f"Probably {self.expected}: {self.why['expected']}.",
            f"At least {self.low}: {self.why['low']}.",
            *([self.note] if self.note else []),
        ]
        if self.first_for < self.walltime:
            lines.append(
                f"It holds {self.first} at first, for {format_duration(self.first_for)}, and more while it runs, "
                f"up to {self.max}."
            )
        if self.available is None or self.after is None or self.after_first is None:
            return tuple(lines)
        if self.after_first.micros < 0:
            return (*lines, f"{self.available} are available: {-self.after_first} too few.")
        when = "while it runs" if self.first_for >= self.walltime else "when it starts"
        return (
            *lines,
            f"Of {self.available} available, {self.after_first} are left {when}, and probably {self.after} when "
            "it ends.",
        )

    def __str__(self) -> str:
        return "\n".join(self.sentences())


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterQuote:
    """What all jobs of a cluster cost together: at least, probably and at most. `first` is held when they start, for
    `first_for`; `available` is what the project has (None: no project would pay)."""

    low: Amount
    expected: Amount
    max: Amount
    first: Amount
    first_for: timedelta
    available: Amount | None


def together(each: Sequence[tuple[int, Quote]]) -> ClusterQuote:
    """Adds up quotes, each for so many jobs alike."""
    one = each[0][1]

    def total(name: str) -> Amount:
        return Amount(sum(count * getattr(found, name).micros for count, found in each), one.max.unit)

    return ClusterQuote(
        low=total("low"), expected=total("expected"), max=total("max"), first=total("first"),
        first_for=one.first_for, available=one.available,
    )  # fmt: skip


def quote(
    request: JobRequest,
    tariff: Tariff,
    now: datetime,
    *,
    starts_at: datetime | None = None,
    starts_by: datetime | None = None,
    history: Sequence[float] = (),
    first_for: timedelta | None = None,
) -> Quote:
    """Returns the quote for `request`, whose memory is what it gets, by `tariff`. `starts_at` is when it probably
    starts (None: now), `starts_by` until when the quote holds (None: two weeks after that); `history` are the shares of
    their walltime that such sessions used, `first_for` how long the first hold of its lease lasts (None: its walltime).
    Raises NoPrice if something it needs has no price at some time that it may run, ValueError without a walltime."""
    if request.walltime <= timedelta():
        raise ValueError(f"a quote needs a walltime: {request.walltime}")
    start = max(now, starts_at or now)
    limit = max(start, starts_by or start + PATIENCE)
    amounts = pricing.held(request.cores, request.gpus, request.gpu_model, request.memory)
    cuts = tariff.cuts(now, limit + request.walltime)
    rates = [tariff.at(instant) for instant in (now, *cuts)]
    cheapest = min(rates, key=lambda one: pricing.hourly(amounts, one))
    least = Amount(min(one.minimum for one in rates), tariff.unit)

    whole, rounding = _most(amounts, tariff, now, limit, request.walltime)
    first = whole.total + rounding
    if first_for is not None and first_for < request.walltime:
        first = most(request, tariff, now, limit, walltime=first_for)
    shortest = min(SHORTEST, request.walltime)
    briefly = pricing.bill([_cost(amounts, cheapest, shortest)], least)
    dearly = f" at the highest prices that may apply if it starts by {wall_words(limit, tariff.zone)}"
    share, said = _share(history)
    likely = min(max(request.walltime * float(share), shortest), request.walltime)
    usual = pricing.bill_of_run(tariff, amounts, start, start + likely)
    return Quote(
        low=briefly.total,
        expected=usual.total,
        max=whole.total + rounding,
        first=first,
        rounding=rounding,
        why={
            "low": "the minimum of a session"
            if briefly.top_up
            else f"it ends after {format_duration(shortest)}; free if it never starts",
            "expected": f"{said}, {format_duration(likely)} of {format_duration(request.walltime)}",
            "max": f"the whole walltime{dearly if cuts else ''}, {whole.formula}",
        },
        walltime=request.walltime,
        first_for=request.walltime if first_for is None else min(first_for, request.walltime),
        starts_by=limit,
    )


def most(
    request: JobRequest,
    tariff: Tariff,
    start: datetime,
    limit: datetime,
    *,
    memory: int = 0,
    walltime: timedelta | None = None,
) -> Amount:
    """Returns the most that a run costs that starts between the two times and lasts no longer than `walltime` (None:
    the request's): a quote's max, and the hold. Raises NoPrice."""
    amounts = pricing.held(request.cores, request.gpus, request.gpu_model, request.memory or memory)
    bill, rounding = _most(amounts, tariff, start, limit, request.walltime if walltime is None else walltime)
    return bill.total + rounding


def _most(
    amounts: Mapping[str, Quantity], tariff: Tariff, start: datetime, limit: datetime, walltime: timedelta
) -> tuple[pricing.Bill, Amount]:
    """Returns the bill of the whole time at the highest prices that may apply, and the amount that cutting it at prices
    and months may add."""
    cuts = tariff.cuts(start, limit + walltime)
    rates = [tariff.at(instant) for instant in (start, *cuts)]
    dearest = max(rates, key=lambda one: pricing.hourly(amounts, one))
    least = Amount(max(one.minimum for one in rates), tariff.unit)
    rounding = Amount(_cuts_at_most(cuts, walltime, start, limit), tariff.unit)
    return pricing.bill([_cost(amounts, dearest, walltime)], least), rounding


def _cost(amounts: Mapping[str, Quantity], rates: Rates, duration: timedelta) -> pricing.Cost:
    return pricing.segment_cost(pricing.used(amounts, duration), rates, duration)


def _share(history: Sequence[float]) -> tuple[Fraction, str]:
    """Returns the share of its walltime that a session probably uses, the mean of the history, and in words its basis.
    A share over 1 (a scheduler's grace) counts as 1. Raises ValueError for a share that is negative or not a number."""
    if any(not share >= 0 for share in history):
        raise ValueError("a share of a walltime is a number from 0 to 1")
    if len(history) < ENOUGH:
        return UNKNOWN_SHARE, "no history of such sessions, so half"
    mean = sum((Fraction(min(share, 1.0)) for share in history), Fraction(0)) / len(history)
    return mean, f"the last {len(history)} such sessions used {round(mean * 100)} % of their walltime"


def _cuts_at_most(cuts: Sequence[datetime], walltime: timedelta, now: datetime, limit: datetime) -> int:
    """Returns how often one run may be cut at most: each further piece is rounded up by less than one micro-unit."""
    by_price = max((bisect_left(cuts, cut + walltime) - place for place, cut in enumerate(cuts)), default=0)
    return by_price + min(_months(now - ANY_ZONE, limit + walltime + ANY_ZONE), walltime // SHORTEST_MONTH + 1)


def _months(start: datetime, end: datetime) -> int:
    """Returns how many months begin in between, in UTC."""
    first, last = start.astimezone(UTC), end.astimezone(UTC)
    return (last.year - first.year) * 12 + last.month - first.month
