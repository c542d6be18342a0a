"""Cuts: where in the journal each closed month ends. What was written before the cut of its month is in that month's statements; what is
written after it is a correction in a later one.

An entry's number in the journal says which of both it is, not a clock: clocks of several writers differ. Pure.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ..ledger.entries import Entry

TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """`period` was closed `at` that instant, after the entry of number `last`."""

    period: str
    last: int
    at: datetime


def by_cuts(entries: Iterable[tuple[int, Entry]], cuts: Iterable[Cut]) -> Iterator[Entry]:
    """Numbered entries, each as written within the two cuts that it lies between, whatever the clock of its writer said: never before
    the month was closed that was closed before it, and never after the one was that was closed after it."""
    ordered = sorted(cuts, key=lambda cut: cut.last)
    numbers = [cut.last for cut in ordered]
    for number, entry in entries:
        place = bisect_left(numbers, number)  # the first cut that it is before
        written = entry.recorded_at or entry.at
        if place and written < ordered[place - 1].at:
            written = ordered[place - 1].at
        if place < len(ordered) and written >= ordered[place].at:
            written = ordered[place].at - TICK
        yield entry if written is entry.recorded_at else replace(entry, recorded_at=written)


def instant(now: datetime, end: datetime, cuts: Iterable[Cut]) -> datetime:
    """When a month that ended at `end` is closed, if it is done now: later than all that were closed before."""
    return max([now, end, *(cut.at + TICK for cut in cuts)])


def over(cuts: Iterable[Cut], start: datetime) -> int:
    """The number up to which nothing was written at `start` or later."""
    return max((cut.last for cut in cuts if cut.at <= start), default=0)
