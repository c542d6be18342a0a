"""The options with which a command says what a session needs: one list for `place` and `run`, as in
`domain/sessions/requests.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from ..display.request_fields import FIELDS, Field, Kind
from .values import Whole


def _type(field: Field) -> click.ParamType[Any] | None:
    if field.kind is Kind.COUNT:
        return Whole(field.least, field.most)
    return click.Choice(field.choices) if field.choices else None


OPTIONS = tuple(
    click.option(
        f"--{field.name.replace('_', '-')}",
        type=_type(field),
        help=field.words,
    )
    for field in FIELDS
    if field.option
)


def needs(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds these options to a command, each None unless it was given."""
    for option in reversed(OPTIONS):
        function = option(function)
    return function


def given(asked: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in asked.items() if value is not None}
