"""How long a project's credits last if it goes on as it did: lots are spent in their order, and what is left of one at its end is gone.

Pure: the rate and the moment are given, nothing is asked. What a lot's centres are does not count: where somebody will work is not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from .lots import OVERDRAFT, Lot

FAR = timedelta(days=3 * 366)  # what lasts longer lasts
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """So many micro-units are left at that moment; `lost`: of what ended just then."""

    at: datetime
    left: int
    lost: int = 0


def burn_down(lots: Iterable[Lot], used: int, per_day: int, now: datetime) -> tuple[Point, ...]:
    """What is left from now on, at `per_day` micro-units a day, until nothing is or for three years. `used` is what was spent and is not
    off the lots yet. At no rate only the ends of lots take something away."""
    known = [*lots]
    short = max(0, used) + sum(max(0, -lot.available) for lot in known if lot.name == OVERDRAFT)
    open_ones = [(lot.expires_at, lot.available + lot.held) for lot in known if lot.expires_at is None or lot.expires_at > now]
    queue = sorted(((end or now + 2 * FAR, micros) for end, micros in open_ones if micros > 0), key=lambda one: one[0])
    queue = _without(queue, short)
    left = sum(micros for _, micros in queue)
    points, at = [Point(at=now, left=left)], now
    for end, micros in queue:
        last = min(end, now + FAR)
        spent = min(micros, _spent(per_day, last - at)) if last > at else 0
        took = _lasting(spent, per_day) if spent == micros and per_day else max(last - at, timedelta())
        at, left = at + took, left - spent
        if at >= now + FAR:
            return (*points, Point(at=now + FAR, left=left))
        if micros > spent:
            points.append(Point(at=at, left=left))
        left -= micros - spent
        points.append(Point(at=at, left=left, lost=micros - spent))
    return tuple(points)


def runs_out_at(points: Sequence[Point], per_day: int) -> datetime | None:
    """When nothing is left at that rate; None if nothing is spent, or if it lasts."""
    return points[-1].at if per_day > 0 and not points[-1].left else None


def _without(queue: list[tuple[datetime, int]], used: int) -> list[tuple[datetime, int]]:
    """Less what is used already, of those that end first."""
    rest = []
    for end, micros in queue:
        taken = min(micros, used)
        used -= taken
        if micros > taken:
            rest.append((end, micros - taken))
    return rest


def _spent(per_day: int, time: timedelta) -> int:
    return per_day * (time // timedelta(microseconds=1)) // (DAY // timedelta(microseconds=1))


def _lasting(micros: int, per_day: int) -> timedelta:
    return timedelta(microseconds=micros * (DAY // timedelta(microseconds=1)) // per_day)
