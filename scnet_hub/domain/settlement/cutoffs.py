"""Cuts: where in the journal each closed month ends. An entry written before its month's cut is in that month's
statements; an entry written after it is a correction in a later month.

The entry's number in the journal decides, not a clock: clocks of several writers differ. Pure.
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
    """`period` was closed `at` that instant, after the entry with number `last`."""

    period: str
    last: int
    at: datetime


def by_cuts(entries: Iterable[tuple[int, Entry]], cuts: Iterable[Cut]) -> Iterator[Entry]:
    """Yields numbered entries, each with a time of writing between the two cuts around it, whatever the clock of its
    writer showed: never before the closing of the earlier month, and never after that of the later one."""
    ordered = sorted(cuts, key=lambda cut: cut.last)
    numbers = [cut.last for cut in ordered]
    for number, entry in entries:
        place = bisect_left(numbers, number)  # the first cut after the entry
        written = entry.recorded_at or entry.at
        if place and written < ordered[place - 1].at:
            written = ordered[place - 1].at
        if place < len(ordered) and written >= ordered[place].at:
            written = ordered[place].at - TICK
        yield entry if written is entry.recorded_at else replace(entry, recorded_at=written)


def instant(now: datetime, end: datetime, cuts: Iterable[Cut]) -> datetime:
    """Returns the closing time of a month that ended at `end`, if it is closed now: later than all earlier closings."""
    return max([now, end, *(cut.at + TICK for cut in cuts)])


def over(cuts: Iterable[Cut], start: datetime) -> int:
    """Returns the number up to which no entry was written at `start` or later."""
    return max((cut.last for cut in cuts if cut.at <= start), default=0)
