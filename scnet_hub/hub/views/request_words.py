"""Describes a request and its cost in words; also the filters of the start page's templates."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from ...display.times import age
from ...errors import BadOption
from ...units import format_duration, format_memory, format_number, parse_memory, parse_walltime

Facts = Mapping[str, Any]


def duration(value: Any) -> str:
    """Formats a duration for people: from seconds, a timedelta or a text like "1h30m"; text that can't be read is
    returned unchanged."""
    try:
        return format_duration(parse_walltime(value))
    except BadOption:
        return str(value)


def memory(value: Any) -> str:
    """Formats bytes or "4G" as "4 GiB"; without a request, as the centre's share."""
    if value in (None, "", 0, "0"):
        return "the centre's share"
    try:
        return format_memory(parse_memory(value))
    except BadOption:
        return str(value)


def credits(value: Any) -> str:
    """Formats a number of credits with its unit: "1,204.50 credits"."""
    return f"{format_number(float(value or 0))} credits"


def figure(value: Any) -> str:
    """Formats a number of credits alone: "0.80"; "–" if it is not known; a small amount is never shown as zero."""
    if value is None:
        return "–"
    return "under 0.0001" if 0 < float(value) < 0.00005 else format_number(float(value))


def typed_memory(value: Any) -> str:
    """Formats memory as a person would type it: 4294967296 as "4G"; text is returned unchanged."""
    if not isinstance(value, int) or not value:
        return str(value or "")
    factor, unit = next(
        pair for pair in ((2**40, "T"), (2**30, "G"), (2**20, "M"), (2**10, "K"), (1, "")) if value % pair[0] == 0
    )
    return f"{value // factor}{unit}"


def typed_walltime(value: Any) -> str:
    """Formats a walltime as a person would type it: 5400 seconds as "1h30m"; text is returned unchanged."""
    if not isinstance(value, int | float):
        return str(value or "")
    minutes, seconds = divmod(int(value), 60)
    hours, minutes = divmod(minutes, 60)
    return "".join(f"{n}{unit}" for n, unit in ((hours, "h"), (minutes, "m"), (seconds, "s")) if n) or "0s"


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def size(profile: Facts) -> str:
    """Formats a request on one line: "2 cores · 4 GiB · 1 GPU · 1 h"."""
    gpus = int(profile.get("gpus") or 0)
    model = str(profile.get("gpu_model") or "")
    parts = [plural(int(profile.get("cores") or 1), "core")]
    parts += [memory(profile["memory"])] if profile.get("memory") else []
    parts += [f"{plural(gpus, 'GPU')}{f' ({model})' if model else ''}"] if gpus else []
    return " · ".join([*parts, duration(profile.get("walltime") or "1h")])


FILTERS = {
    "duration": duration, "memory": memory, "credits": credits, "age": partial(age, never="never"), "size": size,
    "typed_memory": typed_memory, "typed_walltime": typed_walltime,
}  # fmt: skip
