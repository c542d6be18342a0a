"""The options with which a command says what a session needs: one list for `place` and `run`, as in `domain/sessions/requests.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from .values import Whole

OPTIONS = (
    click.option("--cores", type=Whole(1), help="Cores in all (1)."),
    click.option("--gpus", type=Whole(0), help="GPUs or DCUs in all (0)."),
    click.option("--gpu-model", help="Only this model."),
    click.option("--walltime", help="For how long: 30m, 2h, 1-12:00:00 (1h)."),
    click.option("--memory", help="In all: 4G, 512M (the centre's share of so many cores)."),
    click.option("--nodes", type=Whole(1), help="Spread over so many nodes (1)."),
    click.option("--centre", help="Only this centre."),
    click.option("--partition", help="Only this partition."),
    click.option("--project", help="Who pays (your first project)."),
)


def needs(function: Callable[..., Any]) -> Callable[..., Any]:
    """A command with these options, each None unless it was given."""
    for option in reversed(OPTIONS):
        function = option(function)
    return function


def given(asked: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in asked.items() if value is not None}
