"""Warns a person about a live session in time: credits are running out, maintenance would end it, its centre announces
something, or its centre cannot be reached.

Pure: takes facts and `now`, returns sentences with a code. The doors and clients decide who shows them, and where.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from ...display.times import minute
from ..pricing import leases
from ..standard.centre import CentreSpec
from .health import NAMES, Hop

WARNING = (
    "Credits are running out: this session will be stopped at {at}, with all its kernels. {why} Save your work. "
    "Ask the project's PI for"
    " more, or stop another session of the project: then this one continues automatically."
)
URGENT = (
    "Save your work now: credits are running out, and this session will be stopped at {at}. {why} With more "
    "credits it continues."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A warning. `at` is when its subject begins, or began."""

    code: str
    message: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Lease:
    """Until when the credits that a session holds last, and why no longer ("": they are held anew in time)."""

    until: datetime | None
    end_reason: str


def notices(
    spec: CentreSpec,
    failing: Hop | None,
    *,
    ends_at: datetime,
    unknown_since: datetime | None,
    unknown_why: str,
    now: datetime,
    lease: Lease | None = None,
) -> list[Notice]:
    """Returns the warnings for a session at the centre of `spec` that may run until `ends_at`; `failing` is that
    centre's first failing hop. Most urgent first."""
    known = [
        *_unknown(spec, failing, unknown_since, unknown_why),
        *_maintenance(spec, ends_at, now),
        *_announcements(spec, now),
    ]
    return [*(_credits(lease, now) if lease else ()), *known]


def _credits(lease: Lease, now: datetime) -> Iterator[Notice]:
    """Warns in the last quarter of an hour, and again, with other words, in the last five minutes."""
    end = leases.stops_at(lease.until, lease.end_reason)
    if end is None or lease.until is None or now < lease.until - leases.WARNED:
        return
    words = URGENT if now >= lease.until - leases.URGENT else WARNING
    yield Notice(code="credits", message=words.format(at=moment(end, now), why=lease.end_reason), at=end)


def _unknown(spec: CentreSpec, failing: Hop | None, since: datetime | None, why: str) -> Iterator[Notice]:
    if since is None:
        return
    where = f"{NAMES[failing.name]} fails" if failing else why
    message = f"{spec.name} has not reported on this session since {since.astimezone(UTC):%H:%M} UTC ({where})."
    yield Notice(code="unknown", message=f"{message} The session is kept and its work continues.", at=since)


def _maintenance(spec: CentreSpec, ends_at: datetime, now: datetime) -> Iterator[Notice]:
    window = spec.maintenance_in(now, ends_at)
    if window is None:
        return
    why = f" ({window.reason})" if window.reason else ""
    end = f"{spec.name} is in maintenance from {moment(window.start, now)} to {moment(window.end, now)}{why}"
    yield Notice(
        code="maintenance", message=f"{end}: this session will end then. Save your work before.", at=window.start
    )


def _announcements(spec: CentreSpec, now: datetime) -> Iterator[Notice]:
    for one in spec.announced(now):
        if one.start <= now:
            yield Notice(code="announcement", message=f"{spec.name}: {one.message}", at=one.start)


def moment(at: datetime, now: datetime) -> str:
    """Formats a time for people: "14:30 UTC" today, else with its day. Pages and panels read these two forms to show
    them in the person's zone."""
    at, now = at.astimezone(UTC), now.astimezone(UTC)
    return f"{at:%H:%M} UTC" if at.date() == now.date() else minute(at)
