"""Periods: the months of the federation's zone, the period in which an entry counts, and the reasons that block a
month's closing.

A month is half-open, so that every instant is in exactly one, and it is closed once, for ever: a later entry that
concerns it counts in the month in which it was written, as a correction. Pure: closed months, missing manifests and
suspended records are arguments.
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
    OPEN = "open"  # current
    CLOSING = "closing"  # its time has passed; late records are still added to it
    CLOSED = "closed"  # its statements are issued; later entries are corrections in another month


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
    """Returns the month of an instant. Raises ValueError if it is naive, SpecError for an unknown zone."""
    if instant.tzinfo is None:
        raise ValueError(f"{instant} has no time zone")
    local = instant.astimezone(_zone(zone))
    month = _month(local.year, local.month, zone)
    # where clocks went back over the midnight between two months, the old month's date comes a second time
    return month if instant < month.end else following(month)


def period_named(name: str, zone: str = ZONE) -> Period:
    """Returns the month of that name. Raises BadOption."""
    match = re.fullmatch(r"(\d{4})-(0[1-9]|1[0-2])", name, re.ASCII)
    if not match or not 1 < int(match[1]) < 9999:
        raise BadOption(f"{name[:40]!r} is not a month.", hint="Write it like 2026-11.")
    return _month(int(match[1]), int(match[2]), zone)


def following(period: Period) -> Period:
    return period_of(period.end, period.zone)


def preceding(period: Period) -> Period:
    return period_of(period.start - timedelta(microseconds=1), period.zone)


def days(period: Period) -> Iterator[date]:
    """Returns its days in its zone: a centre owes a manifest for each."""
    first, last = (instant.astimezone(_zone(period.zone)).date() for instant in (period.start, period.end))
    return (first + timedelta(days=number) for number in range((last - first).days))


@lru_cache(maxsize=4096)
def _month(year: int, month: int, zone: str) -> Period:
    after = (year, month + 1) if month < 12 else (year + 1, 1)
    return Period(
        name=f"{year:04}-{month:02}", zone=zone, start=_midnight(year, month, zone), end=_midnight(*after, zone)
    )


def _midnight(year: int, month: int, zone: str) -> datetime:
    return datetime(year, month, 1, tzinfo=_zone(zone)).astimezone(UTC)


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise SpecError(f"There is no time zone {name[:60]!r}.", hint="Write it like Asia/Shanghai.") from error


# ---- where an entry counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """The federation's zone, the closing time of each closed month, by the month's name, and the `first` month of its
    ledger ("": none), in which entries for earlier months count as well."""

    zone: str = ZONE
    closed: Mapping[str, datetime] = field(default_factory=dict)
    first: str = ""

    def own(self, concerns: datetime) -> Period:
        """Returns the month that an entry concerns."""
        month = period_of(concerns, self.zone)
        return month if month.name >= self.first else period_named(self.first, self.zone)

    def landing(self, concerns: datetime, recorded_at: datetime | None) -> Period:
        """Returns the month whose statements count an entry: the month that it concerns, unless that was closed when
        the entry was written; then the month of the writing, which cannot have been closed before its end."""
        own = self.own(concerns)
        closed_at = self.closed.get(own.name)
        if closed_at is None or recorded_at is None or recorded_at < closed_at:
            return own
        return period_of(recorded_at, self.zone)


# ---- reasons that block a month


@dataclass(frozen=True, slots=True, kw_only=True)
class Completeness:
    """The gaps in a centre's manifests of a month, in sentences ("2026-11-03: no manifest"), and why an operator closes
    it all the same."""

    centre: str
    missing: tuple[str, ...] = ()
    excuse: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspended:
    """A record that matches nothing, the reason, and an operator's decision ("": none yet)."""

    centre: str
    record: str
    reason: str
    decision: str = ""


def against_closing(period: Period, state: PeriodState, now: datetime) -> list[str]:
    """Returns why an open month can't be closing; empty: it can."""
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
    """Returns all reasons why a closing month can't be closed; empty: it can.

    `before` is the state of the preceding month (None: the ledger begins with this one), `centres` are all that ran
    jobs in it."""
    reasons = [] if state is PeriodState.CLOSING else [f"{period} is {state.value}, not closing."]
    if now < period.end:
        reasons.append(f"{period} lasts until {_said(period.end, period.zone)}; it is {_said(now, period.zone)}.")
    if before not in (None, PeriodState.CLOSED):
        reasons.append(f"{preceding(period)} is {before.value if before else 'open'}; close the months in order.")
    said = {one.centre: one for one in manifests}
    for centre in sorted({*centres, *said}):
        reasons.extend(_incomplete(said.get(centre, Completeness(centre=centre, missing=("no manifest at all",)))))
    return [*reasons, *(_undecided(one) for one in suspense if not one.decision.strip())]


def _incomplete(one: Completeness) -> list[str]:
    if not one.missing or one.excuse.strip():
        return []
    shown, more = one.missing[:3], len(one.missing) - 3
    rest = f" and {more} more" if more > 0 else ""
    return [
        f"{one.centre} is not complete: {'; '.join(shown)}{rest}. Ask it to send them, or give a reason for "
        "closing without them."
    ]


def _undecided(one: Suspended) -> str:
    return f"{one.record} of {one.centre} is in suspense ({one.reason}) and waits for a decision."


def _said(instant: datetime, zone: str) -> str:
    return instant.astimezone(_zone(zone)).strftime("%Y-%m-%d %H:%M %Z")
