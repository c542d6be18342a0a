"""Times and days as people and programs write them: text → aware UTC, or a refusal in a sentence; and a time or an age
→ words.

What is read is bounded, so that whatever is parsed can be moved to any time zone, printed, stored and reckoned with.
The words for a time that is not there ("never", "none yet", "–") are the caller's. Nothing here reads a clock.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, tzinfo

from ..errors import BadOption
from ..units import format_duration

FIRST, LAST = date(1970, 1, 1), date(2199, 12, 31)  # days that are taken
LONGEST = 40  # characters
NONE = "–"
HINT = f"Write it like 2026-12-31 or 2026-12-31T12:00+08:00, from {FIRST} to {LAST}."
_INSTANT = re.compile(r"[0-9TWZ:+., -]{8,40}", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def parse_instant(text: object, *, option: str, zone: tzinfo = UTC) -> datetime:
    """The instant in UTC; `zone` is meant where the text names none. Raises BadOption naming `option`."""
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
    """Whether an aware time is in the range in each time zone, also where it has no place in the calendar of UTC."""
    return FIRST < at.date() < LAST


def parse_day(text: object, *, option: str) -> date:
    """The day in "2026-11-01". Raises BadOption naming `option`."""
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
    """A time of a document of docs/reference/rest.md; None for null."""
    if not at:
        return None
    return datetime.fromisoformat(at) if isinstance(at, str) else at


def ago(at: str | datetime | None, now: str | datetime | None, *, never: str) -> str:
    """ "5 min ago", or "now" for less than a second; `never` where either time is missing."""
    then, here = read(at), read(now)
    return age((here - then).total_seconds() if then and here else None, never=never)


def age(seconds: float | None, *, never: str) -> str:
    """The same of an age in seconds; `never` for None."""
    if seconds is None:
        return never
    words = format_duration(timedelta(seconds=seconds))
    return words if words == "now" else f"{words} ago"


def minute(at: str | datetime | None, zone: tzinfo | None = None, *, none: str = NONE) -> str:
    """ "23 Nov 14:02" in that zone; without one "23 Nov 14:02 UTC"."""
    return _shown(at, "%b %H:%M", zone, none)


def second(at: str | datetime | None, zone: tzinfo | None = None, *, none: str = NONE) -> str:
    """ "23 Nov 14:02:05"."""
    return _shown(at, "%b %H:%M:%S", zone, none)


def dated(at: str | datetime | None, zone: tzinfo | None = None, *, none: str = NONE) -> str:
    """ "23 Nov 2026 14:02"."""
    return _shown(at, "%b %Y %H:%M", zone, none)


def dated_second(at: str | datetime | None, zone: tzinfo | None = None, *, none: str = NONE) -> str:
    """ "23 Nov 2026 14:02:05"."""
    return _shown(at, "%b %Y %H:%M:%S", zone, none)


def day(at: str | datetime | None, zone: tzinfo = UTC, *, none: str = NONE) -> str:
    """ "23 Nov 2026"."""
    return _shown(at, "%b %Y", zone, none)


def _shown(at: str | datetime | None, form: str, zone: tzinfo | None, none: str) -> str:
    found = read(at)
    if found is None:
        return none
    here = found.astimezone(zone or UTC)
    return f"{here.day} {here:{form}}{'' if zone else ' UTC'}"


def waited(seconds: float | None, *, none: str = NONE) -> str:
    """A measured span with its precision: "< 0.1 s", "2.4 s", "310 s"; `none` where it is not known."""
    if seconds is None:
        return none
    return "< 0.1 s" if seconds < 0.05 else f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
