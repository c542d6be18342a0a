"""Periods: the months of the federation's zone, in which period an entry lands, and what hinders a month's closing, in words.

A month is half-open, so that every instant is in exactly one, and it is closed once, for ever: what concerns it and comes later lands in
the month in which it was written, as a correction. Pure: which months are closed, what centres have not sent and what is in suspense
come as arguments.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ..errors import BadOption, SpecError

ZONE = "Asia/Shanghai"


class PeriodState(Enum):
    OPEN = "open"  # it still runs
    CLOSING = "closing"  # its time has passed; late records still land in it
    CLOSED = "closed"  # its statements are issued; whatever comes now is a correction in another one


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A month: `name` like "2026-11", [`start`, `end`) in UTC, at midnight in `zone`."""

    name: str
    zone: str
    start: datetime
    end: datetime

    def __contains__(self, instant: datetime) -> bool:
        return self.start <= instant < self.end

    def __str__(self) -> str:
        return self.name


def period_of(instant: datetime, zone: str = ZONE) -> Period:
    """The month that an instant is in. Raises ValueError if it is naive, SpecError if there is no such zone."""
    if instant.tzinfo is None:
        raise ValueError(f"{instant} has no time zone")
    local = instant.astimezone(_zone(zone))
    month = _month(local.year, local.month, zone)
    # where clocks went back over the midnight between two months, the old month's date comes a second time
    return month if instant < month.end else following(month)


def period_named(name: str, zone: str = ZONE) -> Period:
    """The month of that name. Raises BadOption."""
    match = re.fullmatch(r"(\d{4})-(0[1-9]|1[0-2])", name, re.ASCII)
    if not match or not 1 < int(match[1]) < 9999:
        raise BadOption(f"{name[:40]!r} is not a month.", hint="Write it like 2026-11.")
    return _month(int(match[1]), int(match[2]), zone)


def following(period: Period) -> Period:
    return period_of(period.end, period.zone)


def preceding(period: Period) -> Period:
    return period_of(period.start - timedelta(microseconds=1), period.zone)


def days(period: Period) -> Iterator[date]:
    """Its days in its zone: for each a centre owes a manifest."""
    first, last = (instant.astimezone(_zone(period.zone)).date() for instant in (period.start, period.end))
    return (first + timedelta(days=number) for number in range((last - first).days))


@lru_cache(maxsize=4096)
def _month(year: int, month: int, zone: str) -> Period:
    after = (year, month + 1) if month < 12 else (year + 1, 1)
    return Period(name=f"{year:04}-{month:02}", zone=zone, start=_midnight(year, month, zone), end=_midnight(*after, zone))


def _midnight(year: int, month: int, zone: str) -> datetime:
    return datetime(year, month, 1, tzinfo=_zone(zone)).astimezone(UTC)


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise SpecError(f"There is no time zone {name[:60]!r}.", hint="Write it like Asia/Shanghai.") from error


# ---- where an entry lands


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """The federation's zone, when each of its closed months was closed, by the month's name, and the `first` month of its books ("": there
    is none), in which also counts what concerns an earlier one."""

    zone: str = ZONE
    closed: Mapping[str, datetime] = field(default_factory=dict)
    first: str = ""

    def own(self, concerns: datetime) -> Period:
        """The month that an entry concerns."""
        month = period_of(concerns, self.zone)
        return month if month.name >= self.first else period_named(self.first, self.zone)

    def landing(self, concerns: datetime, recorded_at: datetime | None) -> Period:
        """The month whose statements count an entry: that which it concerns, unless it was closed when the entry was written: then the
        month of the writing, which cannot have been closed before its end."""
        own = self.own(concerns)
        closed_at = self.closed.get(own.name)
        if closed_at is None or recorded_at is None or recorded_at < closed_at:
            return own
        return period_of(recorded_at, self.zone)


# ---- what hinders


@dataclass(frozen=True, slots=True, kw_only=True)
class Completeness:
    """What a centre's manifests leave open of a month, in words ("2026-11-03: no manifest"), and why an operator closes it all the same."""

    centre: str
    missing: tuple[str, ...] = ()
    excuse: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspended:
    """A record that matches nothing, why, and what an operator decided about it ("" as yet nothing)."""

    centre: str
    record: str
    reason: str
    decision: str = ""


def against_closing(period: Period, state: PeriodState, now: datetime) -> list[str]:
    """Why an open month can't be closing; nothing: it can."""
    reasons = [] if state is PeriodState.OPEN else [f"{period} is {state.value} already."]
    if now < period.end:
        reasons.append(f"{period} lasts until {_said(period.end, period.zone)}; it is {_said(now, period.zone)}.")
    return reasons


def against_closed(
    period: Period,
    state: PeriodState,
    now: datetime,
    *,
    before: PeriodState | None,
    centres: Collection[str],
    manifests: Iterable[Completeness],
    suspense: Iterable[Suspended],
) -> list[str]:
    """Why a closing month can't be closed, every reason there is; nothing: it can.

    `before` is the state of the month before it (None: the books begin with this one), `centres` are all that ran something in it."""
    reasons = [] if state is PeriodState.CLOSING else [f"{period} is {state.value}, not closing."]
    if now < period.end:
        reasons.append(f"{period} lasts until {_said(period.end, period.zone)}; it is {_said(now, period.zone)}.")
    if before not in (None, PeriodState.CLOSED):
        reasons.append(f"{preceding(period)} is {before.value if before else 'open'}; months are closed in their order.")
    said = {one.centre: one for one in manifests}
    for centre in sorted({*centres, *said}):
        reasons.extend(_incomplete(said.get(centre, Completeness(centre=centre, missing=("no manifest at all",)))))
    return [*reasons, *(_undecided(one) for one in suspense if not one.decision.strip())]


def _incomplete(one: Completeness) -> list[str]:
    if not one.missing or one.excuse.strip():
        return []
    shown, more = one.missing[:3], len(one.missing) - 3
    rest = f" and {more} more" if more > 0 else ""
    return [f"{one.centre} is not complete: {'; '.join(shown)}{rest}. Ask it to send them, or say why it is closed without."]


def _undecided(one: Suspended) -> str:
    return f"{one.record} of {one.centre} is in suspense ({one.reason}) and nobody decided what becomes of it."


def _said(instant: datetime, zone: str) -> str:
    return instant.astimezone(_zone(zone)).strftime("%Y-%m-%d %H:%M %Z")
