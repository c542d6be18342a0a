"""Segments of usage: a run cut at the ends of months, where prices change and where an outage begins or ends; and the
meters of each segment.

The lengths of a run's segments sum exactly to its elapsed time, and no segment crosses a month. Knows no price
(`pricing/`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise

from ..months import ZONE, period_of
from ..pricing.rates import GIB, Quantity, seconds
from ..pricing.tariffs import CORE, MEMORY, gpu_meter
from .runs import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """The part [`start`, `end`) of a run, UTC; `number` counts from 1."""

    usage: Usage
    number: int
    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        return self.end - self.start

    def __str__(self) -> str:
        """Returns its own identity: the run's, the segment's number, and the revision."""
        return f"{self.usage.identity}/{self.number}/{self.usage.revision}"


def segments(usage: Usage, zone: str = ZONE, cuts: Iterable[datetime] = ()) -> tuple[Segment, ...]:
    """Cuts a run at the months of `zone` and at `cuts` (aware; those outside of it are ignored). A run of length 0 is
    one segment of length 0; a run that never started, or has no sensible times (`suspense.py` says so), has none.

    Time in which a job was suspended lies somewhere between start and end; no scheduler reports where, so it is taken
    off the end."""
    through = usage.through
    if usage.start is None or through is None or through < usage.start:
        return ()
    start, end = usage.start.astimezone(UTC), through.astimezone(UTC)
    inner = {cut.astimezone(UTC) for cut in cuts} | set(_months(start, end, zone))
    edges = [start, *sorted(cut for cut in inner if start < cut < end), end]
    return tuple(
        Segment(usage=usage, number=number, start=a, end=b) for number, (a, b) in enumerate(pairwise(edges), 1)
    )


def _months(start: datetime, end: datetime, zone: str) -> Iterator[datetime]:
    edge = period_of(start, zone).end
    while edge < end:
        yield edge
        edge = period_of(edge, zone).end


def amounts(usage: Usage) -> dict[str, Quantity]:
    """Returns the amounts that a run holds in each second, by meter."""
    held: dict[str, Quantity] = {CORE: usage.cores, MEMORY: Fraction(usage.memory, GIB)}
    for model, count in usage.gpus:
        held[gpu_meter(model)] = held.get(gpu_meter(model), 0) + count
    return {meter: amount for meter, amount in sorted(held.items()) if amount}


def meters(segment: Segment) -> dict[str, Quantity]:
    """Returns how much of each meter a segment used, exactly: core-seconds, GPU-seconds by model, GiB-seconds of
    memory."""
    length = seconds(segment.length)
    return {meter: _whole(amount * length) for meter, amount in amounts(segment.usage).items()}


def _whole(quantity: Quantity) -> Quantity:
    return quantity.numerator if quantity.denominator == 1 else quantity
