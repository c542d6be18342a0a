"""`quote`: what a session will cost before it is started: low, expected and max, each with its reason, and what is left after.

Max is never exceeded by a run within the walltime that starts in time; the other two are estimates and say from what. Pure: the history
comes from the caller, prices from `tariffs.py`, and the sums from `pricing.py`, by which charges are made too.
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

PATIENCE = timedelta(days=14)  # a session that has waited longer is worth another look at the prices
SHORTEST = timedelta(minutes=1)  # a run that is of any use: a Lab that is opened and closed, a job that finds its input missing
ENOUGH = 5  # so many earlier sessions say something
UNKNOWN_SHARE = Fraction(1, 2)  # without them: half of the walltime
ANY_ZONE = timedelta(hours=14)  # midnight of the first of a month is at most so far from UTC's, wherever the federation is
SHORTEST_MONTH = timedelta(days=28)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a session costs if it ends at once (`low`), as such sessions do (`expected`), and at most (`max`), if it starts by `starts_by`.
    `rounding` is the part of `max` by which cutting a run at prices and months may raise it: a few micro-units, often none. `first` is
    what is held at its start, which lasts for `first_for`: all of `max`, unless it has a lease that is extended while it runs. `why` says
    it for each of the three; `available` is what the project may spend now (None: not told), `note` a further sentence."""

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
        """What is left if it costs as expected."""
        return None if self.available is None else self.available - self.expected

    @property
    def after_first(self) -> Amount | None:
        """What is left once it is started. Below zero: it can't start."""
        return None if self.available is None else self.available - self.first

    @property
    def after_max(self) -> Amount | None:
        """What is left at the worst when it ends. Below zero: it may have to end earlier, or can't start."""
        return None if self.available is None else self.available - self.max

    def sentences(self) -> tuple[str, ...]:
        """The same for people."""
        lines = [
            f"At most {self.max}: {self.why['max']}.",
            f"Probably {self.expected}: {self.why['expected']}.",
            f"At least {self.low}: {self.why['low']}.",
            *([self.note] if self.note else []),
        ]
        if self.first_for < self.walltime:
            lines.append(
                f"It holds {self.first} at first, for {format_duration(self.first_for)}, and while it runs more, up to {self.max}."
            )
        if self.available is None or self.after is None or self.after_first is None:
            return tuple(lines)
        if self.after_first.micros < 0:
            return (*lines, f"{self.available} are available: {-self.after_first} too few.")
        when = "while it runs" if self.first_for >= self.walltime else "when it starts"
        return (*lines, f"Of {self.available} available, {self.after_first} are left {when}, and probably {self.after} when it ended.")

    def __str__(self) -> str:
        return "\n".join(self.sentences())


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
    """The quote for `request`, whose memory is what it gets, by `tariff`. `starts_at` is when it probably starts (None: now), `starts_by`
    until when the quote holds (None: two weeks after that); `history` are the shares of their walltime that such sessions used,
    `first_for` how long the first hold of its lease lasts (None: its walltime). Raises NoPrice if something it needs has no price at some
    time that it may run, ValueError without a walltime."""
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
    dearly = f" at the dearest prices it may meet if it starts by {wall_words(limit, tariff.zone)}"
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
            "low": "the minimum of a session" if briefly.top_up else f"it ends after {format_duration(shortest)}; free if it never starts",
            "expected": f"{said}, {format_duration(likely)} of {format_duration(request.walltime)}",
            "max": f"the whole walltime{dearly if cuts else ''}, {whole.formula}",
        },
        walltime=request.walltime,
        first_for=request.walltime if first_for is None else min(first_for, request.walltime),
        starts_by=limit,
    )


def most(
    request: JobRequest, tariff: Tariff, start: datetime, limit: datetime, *, memory: int = 0, walltime: timedelta | None = None
) -> Amount:
    """What a run costs at most that starts between the two and lasts no longer than `walltime` (None: the request's): a quote's max, and
    what is held. Raises NoPrice."""
    amounts = pricing.held(request.cores, request.gpus, request.gpu_model, request.memory or memory)
    bill, rounding = _most(amounts, tariff, start, limit, request.walltime if walltime is None else walltime)
    return bill.total + rounding


def _most(
    amounts: Mapping[str, Quantity], tariff: Tariff, start: datetime, limit: datetime, walltime: timedelta
) -> tuple[pricing.Bill, Amount]:
    """The whole time at the dearest prices that it may meet, and what cutting it at prices and months may add."""
    cuts = tariff.cuts(start, limit + walltime)
    rates = [tariff.at(instant) for instant in (start, *cuts)]
    dearest = max(rates, key=lambda one: pricing.hourly(amounts, one))
    least = Amount(max(one.minimum for one in rates), tariff.unit)
    rounding = Amount(_cuts_at_most(cuts, walltime, start, limit), tariff.unit)
    return pricing.bill([_cost(amounts, dearest, walltime)], least), rounding


def _cost(amounts: Mapping[str, Quantity], rates: Rates, duration: timedelta) -> pricing.Cost:
    return pricing.segment_cost(pricing.used(amounts, duration), rates, duration)


def _share(history: Sequence[float]) -> tuple[Fraction, str]:
    """Which share of its walltime a session probably uses, the mean of the others', and from what that is known. A share over 1 (a
    scheduler's grace) counts as 1. Raises ValueError for one that is negative or no number."""
    if any(not share >= 0 for share in history):
        raise ValueError("a share of a walltime is a number from 0 to 1")
    if len(history) < ENOUGH:
        return UNKNOWN_SHARE, "no history of such sessions, so half"
    mean = sum((Fraction(min(share, 1.0)) for share in history), Fraction(0)) / len(history)
    return mean, f"the last {len(history)} such sessions used {round(mean * 100)} % of their walltime"


def _cuts_at_most(cuts: Sequence[datetime], walltime: timedelta, now: datetime, limit: datetime) -> int:
    """How often one run may be cut at most: each piece more is rounded up by less than one micro-unit more."""
    by_price = max((bisect_left(cuts, cut + walltime) - place for place, cut in enumerate(cuts)), default=0)
    return by_price + min(_months(now - ANY_ZONE, limit + walltime + ANY_ZONE), walltime // SHORTEST_MONTH + 1)


def _months(start: datetime, end: datetime) -> int:
    """How many months begin in between, in UTC."""
    first, last = start.astimezone(UTC), end.astimezone(UTC)
    return (last.year - first.year) * 12 + last.month - first.month
