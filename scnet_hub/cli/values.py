"""Numbers, amounts, times and days as arguments of commands: read like the broker reads them, so that both refuse the
same values.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import click

from ..display.times import parse_day, parse_instant
from ..errors import BadOption
from ..units import parse_credits

_NUMBER = re.compile(r"-?\d{1,9}(\.\d{1,9})?", re.ASCII)
_WHOLE = re.compile(r"-?\d{1,18}", re.ASCII)


class Whole(click.IntRange):
    """A whole number in ASCII digits; `int()` would accept underscores and the digits of other scripts too."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, str) and not _WHOLE.fullmatch(value):
            self.fail(f"{value[:40]!r} is not a whole number of at most 18 digits.", param, ctx)
        return super().convert(value, param, ctx)


class Number(click.FloatRange):
    """A number in plain decimal digits: neither "nan" nor "inf"."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, str) and not _NUMBER.fullmatch(value):
            self.fail(f"{value[:40]!r} is not a number such as 7 or 0.5.", param, ctx)
        return super().convert(value, param, ctx)


class Credits(click.ParamType[float]):
    """An amount of credits over zero, as a number."""

    name = "credits"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return float(parse_credits(str(value)))
        except BadOption as error:
            self.fail(f"{error} {error.hint}", param, ctx)


class Instant(click.ParamType[datetime]):
    """An aware time; UTC if the text names no zone."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            return parse_instant(value, option=param.name or "time" if param else "time")
        except BadOption as error:
            self.fail(f"{error} {error.hint}", param, ctx)


class Text(click.ParamType[str]):
    """A time or day that is sent as typed, because the broker knows the federation's zone. "" if the option may be left
    out."""

    def __init__(self, name: str) -> None:
        self.name = name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not value:
            return ""
        try:
            (parse_day if self.name == "day" else parse_instant)(
                value, option=param.name or self.name if param else self.name
            )
        except BadOption as error:
            self.fail(f"{error} {error.hint}", param, ctx)
        return str(value)


TIME, DAY = Text("time"), Text("day")
