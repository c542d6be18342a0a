"""What a person should be told about a live session before it hurts: that its credits run out, maintenance that would end it, what its
centre announces, and that its centre can't be asked.

Pure: facts and `now` in, sentences with a code out. Who shows them, and where, is the doors' and clients' business.
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
    "Credits run out: this session is stopped at {at}, with all that its kernels hold. {why} Save your work. Ask the project's PI for"
    " more, or stop something else of it: then this one runs on by itself."
)
URGENT = "Save your work now: credits run out, and this session is stopped at {at}. {why} If the project gets more before, it runs on."


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """`at` is when what it tells of begins, or began."""

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
    """For a session at the centre of `spec` that may run until `ends_at`; `failing` is that centre's first failing hop. Most urgent
    first."""
    known = [*_unknown(spec, failing, unknown_since, unknown_why), *_maintenance(spec, ends_at, now), *_announcements(spec, now)]
    return [*(_credits(lease, now) if lease else ()), *known]


def _credits(lease: Lease, now: datetime) -> Iterator[Notice]:
    """In its last quarter of an hour, and once more, as other words, in its last five minutes."""
    end = leases.stops_at(lease.until, lease.end_reason)
    if end is None or lease.until is None or now < lease.until - leases.WARNED:
        return
    words = URGENT if now >= lease.until - leases.URGENT else WARNING
    yield Notice(code="credits", message=words.format(at=moment(end, now), why=lease.end_reason), at=end)


def _unknown(spec: CentreSpec, failing: Hop | None, since: datetime | None, why: str) -> Iterator[Notice]:
    if since is None:
        return
    where = f"{NAMES[failing.name]} fails" if failing else why
    message = f"{spec.name} cannot say since {since.astimezone(UTC):%H:%M} UTC how this session is ({where})."
    yield Notice(code="unknown", message=f"{message} It is kept; what it computes goes on.", at=since)


def _maintenance(spec: CentreSpec, ends_at: datetime, now: datetime) -> Iterator[Notice]:
    window = spec.maintenance_in(now, ends_at)
    if window is None:
        return
    why = f" ({window.reason})" if window.reason else ""
    end = f"{spec.name} is in maintenance from {moment(window.start, now)} to {moment(window.end, now)}{why}"
    yield Notice(code="maintenance", message=f"{end}: it ends this session then. Save your work before.", at=window.start)


def _announcements(spec: CentreSpec, now: datetime) -> Iterator[Notice]:
    for one in spec.announced(now):
        if one.start <= now:
            yield Notice(code="announcement", message=f"{spec.name}: {one.message}", at=one.start)


def moment(at: datetime, now: datetime) -> str:
    """A time for people: "14:30 UTC" today, else with its day. Pages and panels read these two forms to show them in the person's zone."""
    at, now = at.astimezone(UTC), now.astimezone(UTC)
    return f"{at:%H:%M} UTC" if at.date() == now.date() else minute(at)
