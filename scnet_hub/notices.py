"""What a person should be told about a live session before it hurts: maintenance that would end it, what its centre announces,
and that its centre can't be asked.

Pure: facts and `now` in, sentences with a code out. Who shows them, and where, is the doors' and clients' business.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from .health import NAMES, Hop
from .standard.centre import CentreSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """`at` is when what it tells of begins, or began."""

    code: str
    message: str
    at: datetime


def notices(
    spec: CentreSpec, failing: Hop | None, *, ends_at: datetime, unknown_since: datetime | None, unknown_why: str, now: datetime
) -> list[Notice]:
    """For a session at the centre of `spec` that may run until `ends_at`; `failing` is that centre's first failing hop. Most
    urgent first."""
    return [*_unknown(spec, failing, unknown_since, unknown_why), *_maintenance(spec, ends_at, now), *_announcements(spec, now)]


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
    """A time for people: "14:30 UTC" today, else with its day."""
    at, now = at.astimezone(UTC), now.astimezone(UTC)
    return f"{at:%H:%M} UTC" if at.date() == now.date() else f"{at.day} {at:%b %H:%M} UTC"
