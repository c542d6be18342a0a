"""What may go into a scheduler's command, and its words without the noise: what every dialect needs in the same way.

A person's text passes here once more before it becomes an argument: no name can be read as an option, no text adds a
line. Knows no scheduler.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from ...errors import BadOption
from ..commands import Completed
from ..jobs import JobSpec

AHEAD = 100  # queued jobs of a partition whose sizes are kept: as far as a backfill scheduler looks by default
FOR_EVER = timedelta(days=365)  # of a job without a limit
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}", re.ASCII)
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def check(spec: JobSpec) -> None:
    """Raises BadOption for anything that can't be said safely."""
    check_name("name", spec.name)
    check_name("partition", spec.partition)
    if spec.gpu_model:
        check_name("gpu_model", spec.gpu_model)
    for option, text in (
        ("output", spec.output),
        ("directory", spec.directory),
        *(("argv", word) for word in spec.argv),
    ):
        if any(not character.isprintable() for character in text):
            raise BadOption(f"{option}: must not hold line breaks or control characters: {text[:40]!r}.")
    if not spec.argv:
        raise BadOption("argv: a job needs a program to run.")


def check_name(option: str, text: str) -> None:
    if not NAME.fullmatch(text):
        raise BadOption(f"{option}: {text[:40]!r} may hold only letters, digits, '.', '_', '+' and '-'.")


def numbers(ids: Sequence[str]) -> tuple[str, ...]:
    """The job ids, each once. Raises BadOption for what is no number."""
    for job in ids:
        if not re.fullmatch(r"\d{1,10}", job, re.ASCII):
            raise BadOption(f"job id: {job[:40]!r} is not a number.")
    return tuple(dict.fromkeys(ids))


def each(amount: int, shares: int) -> int:
    """An amount over so many shares, rounded up."""
    return -(-amount // shares)


def lines(*texts: str) -> list[str]:
    """The lines that say something, without colours and spaces around."""
    return [line.strip() for text in texts for line in _ANSI.sub("", text).splitlines() if line.strip()]


def sentence(said: Iterable[str], done: Completed) -> str:
    """Those lines as one sentence, each once; else what code the command ended with."""
    return "; ".join(dict.fromkeys(line.rstrip(".") for line in said if line)) or f"exit code {done.code}"


def short(text: str) -> str:
    return text.strip()[:120]


def number(text: str) -> int:
    return int(text) if len(text) < 20 and text.isdecimal() else 0


def moment(seconds: int) -> datetime | None:
    """Seconds since 1970, milliseconds from the year 5138 on; None for 0, which is never, and for what no calendar
    has."""
    try:
        return datetime.fromtimestamp(seconds / 1000 if seconds > 10**11 else seconds, UTC) if seconds else None
    except (ValueError, OverflowError, OSError):
        return None


def ends_at(start: datetime, length: timedelta, at: datetime) -> datetime:
    """When a job that began at `start` is over; `FOR_EVER` after `at` where no calendar has that instant."""
    try:
        return start + length
    except OverflowError:
        return at + FOR_EVER
