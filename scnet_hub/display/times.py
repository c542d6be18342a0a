"""Converts times and days between text and values: text → aware UTC, or a refusal in a sentence; and a time or an age →
words.

Input is bounded, so that each parsed time can be moved to any time zone, printed, stored and used in arithmetic. The
words for a missing time ("never", "none yet", "–") are the caller's. Pure: reads no clock.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, tzinfo

from ..errors import BadOption
from ..units import format_duration

FIRST, LAST = date(1970, 1, 1), date(2199, 12, 31)  # the supported days
LONGEST = 40  # characters
NONE = "–"
HINT = f"Write it like 2026-12-31 or 2026-12-31T12:00+08:00, from {FIRST} to {LAST}."
_INSTANT = re.compile(r"[0-9TWZ:+., -]{8,40}", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def parse_instant(text: object, *, option: str, zone: tzinfo = UTC) -> datetime:
    """Returns the instant in UTC; a text without a time zone is in `zone`. Raises BadOption, which names `option`."""
    if not isinstance(text, str) or not _INSTANT.fullmatch(text):
        raise _unreadable(option, text, "a time", HINT)
    try:
        at = datetime.fromisoformat(text)
        at = (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise _unreadable(option, text, "a time", HINT) from error
    if not supported(at):
        raise BadOption(f"{option}: {text!r} is outside the supported range of times.", hint=HINT)
    return at


def supported(at: datetime) -> bool:
    """Returns whether an aware time is in the range in each time zone; False if UTC's calendar has no place for it."""
    return FIRST < at.date() < LAST


def parse_day(text: object, *, option: str) -> date:
    """Returns the day in "2026-11-01". Raises BadOption, which names `option`."""
    hint = f"Write it like 2026-11-01, from {FIRST} to {LAST}."
    if not isinstance(text, str) or not _DAY.fullmatch(text):
        raise _unreadable(option, text, "a day", hint)
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise _unreadable(option, text, "a day", hint) from error
    if not FIRST <= day <= LAST:
        raise BadOption(f"{option}: {text!r} is outside the supported range of days.", hint=hint)
    return day


def _unreadable(option: str, text: object, what: str, hint: str) -> BadOption:
    shown = repr(text[:LONGEST]) if isinstance(text, str) else type(text).__name__
    return BadOption(f"{option}: {shown} is not {what}.", hint=hint)


# ---- in words


def read(at: str | datetime | None) -> datetime | None:
    """Returns a time of a document of docs/reference/rest.md; None for null."""
    if not at:
        return None
    return datetime.fromisoformat(at) if isinstance(at, str) else at


def ago(at: str | datetime | None, now: str | datetime | None, *, never: str) -> str:
    """Returns "5 min ago", or "now" for less than a second; `never` if either time is missing."""
    then, here = read(at), read(now)
    return age((here - then).total_seconds() if then and here else None, never=never)


def age(seconds: float | None, *, never: str) -> str:
    """Returns the words for an age in seconds, like `ago`; `never` for None."""
    if seconds is None:
        return never
    words = format_duration(timedelta(seconds=seconds))
    return words if words == "now" else f"{words} ago"


def minute(at: str | datetime | None, zone: tzinfo | None = None, *, none: str = NONE) -> str:
    """Returns "23 Nov 14:02" in that zone; without a zone "23 Nov 14:02 UTC"."""
    return _shown(at, "%b %H:%M", zone, none)


def second(at: str | datetime | None, zone: tzinfo | None = None, *, none: str = NONE) -> str:
    """Returns "23 Nov 14:02:05"."""
    return _shown(at, "%b %H:%M:%S", zone, none)


def dated(at: str | datetime | None, zone: tzinfo | None = None, *, none: str = NONE) -> str:
    """Returns "23 Nov 2026 14:02"."""
    return _shown(at, "%b %Y %H:%M", zone, none)


def dated_second(at: str | datetime | None, zone: tzinfo | None = None, *, none: str = NONE) -> str:
    """Returns "23 Nov 2026 14:02:05"."""
    return _shown(at, "%b %Y %H:%M:%S", zone, none)


def day(at: str | datetime | None, zone: tzinfo = UTC, *, none: str = NONE) -> str:
    """Returns "23 Nov 2026"."""
    return _shown(at, "%b %Y", zone, none)


def _shown(at: str | datetime | None, form: str, zone: tzinfo | None, none: str) -> str:
    found = read(at)
    if found is None:
        return none
    here = found.astimezone(zone or UTC)
    return f"{here.day} {here:{form}}{'' if zone else ' UTC'}"


def waited(seconds: float | None, *, none: str = NONE) -> str:
    """Returns a measured duration with its precision: "< 0.1 s", "2.4 s", "310 s"; `none` if it is not known."""
    if seconds is None:
        return none
    return "< 0.1 s" if seconds < 0.05 else f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
