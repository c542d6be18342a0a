"""Checks what may go into a scheduler's command, and removes the noise from its answers: the functions that every
dialect needs.

A person's text is checked here once more before it becomes an argument: no name can be read as an option, no text adds
a line. Knows no scheduler.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from ...errors import BadOption
from ..commands import Completed
from ..jobs import JobSpec

AHEAD = 100  # queued jobs of a partition whose sizes are kept: the default depth of a backfill scheduler
FOR_EVER = timedelta(days=365)  # the end of a job without a limit
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}", re.ASCII)
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def check(spec: JobSpec) -> None:
    """Raises BadOption for a job whose texts could be misread by a scheduler."""
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
    """Returns the job ids, each once. Raises BadOption for an id that is not a number."""
    for job in ids:
        if not re.fullmatch(r"\d{1,10}", job, re.ASCII):
            raise BadOption(f"job id: {job[:40]!r} is not a number.")
    return tuple(dict.fromkeys(ids))


def each(amount: int, shares: int) -> int:
    """Returns an amount divided by a number of shares, rounded up."""
    return -(-amount // shares)


def lines(*texts: str) -> list[str]:
    """Returns the lines that have content, without colours and surrounding spaces."""
    return [line.strip() for text in texts for line in _ANSI.sub("", text).splitlines() if line.strip()]


def sentence(said: Iterable[str], done: Completed) -> str:
    """Joins these lines to one sentence, each line once; without lines, the code with which the command ended."""
    return "; ".join(dict.fromkeys(line.rstrip(".") for line in said if line)) or f"exit code {done.code}"


def short(text: str) -> str:
    return text.strip()[:120]


def number(text: str) -> int:
    return int(text) if len(text) < 20 and text.isdecimal() else 0


def moment(seconds: int) -> datetime | None:
    """Returns the time after so many seconds since 1970, in milliseconds from the year 5138 on; None for 0, which means
    never, and for a time outside the calendar."""
    try:
        return datetime.fromtimestamp(seconds / 1000 if seconds > 10**11 else seconds, UTC) if seconds else None
    except (ValueError, OverflowError, OSError):
        return None


def ends_at(start: datetime, length: timedelta, at: datetime) -> datetime:
    """Returns when a job that began at `start` ends; `FOR_EVER` after `at` if that time is outside the calendar."""
    try:
        return start + length
    except OverflowError:
        return at + FOR_EVER
