"""Times and days as people and programs write them, parsed once, here: ISO 8601 text → aware UTC, or a refusal in a sentence.

The range is bounded, so that whatever is parsed can be moved to any time zone, printed, stored and reckoned with. Nothing here reads a
clock.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, tzinfo

from ..errors import BadOption

FIRST, LAST = date(1970, 1, 1), date(2199, 12, 31)  # days that are taken
LONGEST = 40  # characters
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
