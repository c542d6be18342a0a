"""Predicts how long a project's credits last at its current rate: lots are spent in their order, and the rest of a lot
at its end is lost.

Pure: rate and time are arguments. The centres of a lot are ignored: where people will work is not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from .lots import OVERDRAFT, Lot

FAR = timedelta(days=3 * 366)  # credits that last longer count as lasting
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The micro-units left at that time; `lost`: those of a lot that ended just then."""

    at: datetime
    left: int
    lost: int = 0


def burn_down(lots: Iterable[Lot], used: int, per_day: int, now: datetime) -> tuple[Point, ...]:
    """Returns the rest over time, at `per_day` micro-units a day, until nothing is left or for three years. `used` was
    spent and is not yet subtracted from the lots. At rate 0 only the ends of lots reduce the rest."""
    known = [*lots]
    short = max(0, used) + sum(max(0, -lot.available) for lot in known if lot.name == OVERDRAFT)
    open_ones = [
        (lot.expires_at, lot.available + lot.held) for lot in known if lot.expires_at is None or lot.expires_at > now
    ]
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
    """Returns when nothing is left at that rate; None if nothing is spent, or if the credits last."""
    return points[-1].at if per_day > 0 and not points[-1].left else None


def _without(queue: list[tuple[datetime, int]], used: int) -> list[tuple[datetime, int]]:
    """Subtracts the amount already used, first from the lots that end first."""
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
