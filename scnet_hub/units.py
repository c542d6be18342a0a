"""Parses, formats and rounds amounts, memory and walltime, in one place.

Money is integer micro-units of a named unit, so sums are exact and postings balance to zero. Memory is bytes (binary
multiples, as schedulers count them); walltime is a timedelta. Pure: reads no clock and no file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction

from .errors import BadOption

CREDIT = "GRANT"
MICRO = 1_000_000
MOST_CREDITS = 10**9  # in one request
CREDITS_HINT = f"Write it like 500 or 12.5: over zero, at most {MOST_CREDITS:,}, with up to 6 decimals."
_CREDITS = re.compile(r" *\d{1,3}(?:(?:,\d{3})+|\d{0,7})(?:\.\d{1,6})? *", re.ASCII)
_MULTIPLES = {"": 1, "B": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True, order=True)
class Amount:
    """An amount of `micros` millionths of `unit`. Adding different units raises ValueError."""

    micros: int
    unit: str = CREDIT

    def _same(self, other: Amount) -> None:
        if self.unit != other.unit:
            raise ValueError(f"cannot mix {self.unit} and {other.unit}")

    def __add__(self, other: Amount) -> Amount:
        self._same(other)
        return Amount(self.micros + other.micros, self.unit)

    def __sub__(self, other: Amount) -> Amount:
        self._same(other)
        return Amount(self.micros - other.micros, self.unit)

    def __neg__(self) -> Amount:
        return Amount(-self.micros, self.unit)

    def __bool__(self) -> bool:
        return self.micros != 0

    def __float__(self) -> float:
        return self.micros / MICRO

    def __str__(self) -> str:
        return (
            f"{format_number(self.micros / MICRO)} credits"
            if self.unit == CREDIT
            else f"{self.micros / MICRO:.2f} {self.unit}"
        )


def credits(value: str | int | float | Fraction) -> Amount:
    """Returns an amount of `value` credits, rounded half up to a micro-credit. A float is read in its shortest decimal
    form."""
    exact = Fraction(str(value)) if isinstance(value, float) else Fraction(value)
    return Amount(int((exact * MICRO + Fraction(1, 2)) // 1))


def check_credits(value: object, *, option: str = "amount") -> Amount:
    """Returns the amount for a number of credits over zero. Raises BadOption, which names `option`."""
    if isinstance(value, bool) or not isinstance(value, int | float | Fraction):
        raise BadOption(f"{option}: {_shown(value)} is not a valid amount of credits.", hint=CREDITS_HINT)
    if not 0 < value <= MOST_CREDITS or not (amount := credits(value)):  # NaN is not over zero either
        raise BadOption(f"{option}: the amount of credits is out of range.", hint=CREDITS_HINT)
    return amount


def parse_credits(text: str, *, option: str = "amount") -> Amount:
    """Returns the amount for text like "500", "12.5" or "1,204.50". Raises BadOption, which names `option`."""
    if not _CREDITS.fullmatch(text):
        raise BadOption(f"{option}: {_shown(text)} is not a valid amount of credits.", hint=CREDITS_HINT)
    return check_credits(Fraction(text.replace(",", "").strip(" ")), option=option)


def _shown(value: object) -> str:
    return repr(value[:40]) if isinstance(value, str) else type(value).__name__


def format_number(value: float) -> str:
    """Formats a number for people: thousands separated, 2 decimals, or 4 if it is under 0.1 and not zero."""
    return f"{value:,.4f}" if 0 < abs(value) < 0.1 else f"{value:,.2f}"


def parse_memory(text: str | int, *, option: str = "memory") -> int:
    """Returns the bytes that "4G", "512 MiB" or "2048" (bytes) means. Raises BadOption, which names `option`."""
    if isinstance(text, int) and not isinstance(text, bool):
        return text
    match = re.fullmatch(r" *(\d{1,15}(?:\.\d{1,6})?) *([KMGT]?)(?:i?B)? *", str(text), re.IGNORECASE | re.ASCII)
    if not match:
        raise BadOption(f"{option}: {str(text)[:40]!r} is not a memory size.", hint="Write it like 4G or 512M.")
    return int(Fraction(match[1]) * _MULTIPLES[match[2].upper()])


def format_memory(size: int) -> str:
    """Formats bytes for people, in the largest binary unit that keeps the number over one: "4 GiB", "1.5 TiB"."""
    for unit, factor in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size >= factor:
            return f"{size / factor:.4g} {unit}"
    return f"{size} B"


def parse_walltime(text: str | int | float | timedelta, *, option: str = "walltime") -> timedelta:
    """Returns the duration that "1h", "90m", "1h30m", "2-12:00:00", "01:30:00" or a number of seconds means. Raises
    BadOption."""
    if isinstance(text, timedelta):
        return text
    try:
        if isinstance(text, int | float) and not isinstance(text, bool):
            return timedelta(seconds=text)
        return timedelta(seconds=_seconds(str(text).strip(" ")))
    except (ValueError, OverflowError) as error:
        raise BadOption(
            f"{option}: {str(text)[:40]!r} is not a duration.", hint="Write it like 30m, 2h, 1h30m or 2-12:00:00."
        ) from error


def _seconds(text: str) -> int:
    if match := re.fullmatch(r"(?:(\d{1,5})-)?(\d{1,6}):(\d{1,2})(?::(\d{1,2}))?", text, re.ASCII):
        days, first, second, third = match.groups()
        if days is None and third is None:  # Slurm: "90:00" is minutes and seconds
            return int(first) * 60 + int(second)
        return int(days or 0) * 86400 + int(first) * 3600 + int(second) * 60 + int(third or 0)
    if re.fullmatch(r"\d{1,9}", text, re.ASCII):
        return int(text)
    if len(text) > 64:
        raise ValueError(text[:64])
    pieces = re.findall(r"(\d{1,9}(?:\.\d{1,6})?) *(min|[smhd])", text, re.ASCII)
    if not pieces or text.replace(" ", "") != "".join(number + unit for number, unit in pieces):
        raise ValueError(text)
    return int(sum(Fraction(number) * _SECONDS[unit] for number, unit in pieces))


def format_walltime(duration: timedelta) -> str:
    """Formats a duration as Slurm writes limits: "01:30:00", "2-12:00:00"."""
    total = max(0, int(duration.total_seconds()))
    days, rest = divmod(total, 86400)
    clock = f"{rest // 3600:02}:{rest % 3600 // 60:02}:{rest % 60:02}"
    return f"{days}-{clock}" if days else clock


def format_duration(duration: timedelta) -> str:
    """Formats a duration for people: "now", "40 s", "6 min", "2 h 5 min", "3 d"."""
    total = int(duration.total_seconds())
    if total < 1:
        return "now"
    if total < 60:
        return f"{total} s"
    if total < 3600:
        return f"{round(total / 60)} min"
    if total < 2 * 86400:
        hours, minutes = divmod(round(total / 60), 60)
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{round(total / 86400)} d"
