"""Groups of commands: those that list their noun when no command is given, and those that load some commands late."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import click


@dataclass(frozen=True, slots=True)
class Later:
    """A command in another module, and its help text."""

    module: str
    attribute: str
    help: str


class Group(click.Group):
    """A group that imports the commands of `later` only when one of them is called: their modules take a second to
    import, or need more packages than a compute node has."""

    def __init__(self, *words: Any, later: Mapping[str, Later], **options: Any) -> None:
        super().__init__(*words, **options)
        self.later = later

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self.later})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self.later:
            return click.Command(cmd_name, help=self.later[cmd_name].help)
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        return name, load(self.later[name], ctx, name) if name and name in self.later else command, rest


def load(later: Later, ctx: click.Context, name: str) -> click.Command:
    try:
        command: click.Command = getattr(import_module(later.module), later.attribute)
    except ImportError as error:
        words = f"{ctx.command_path} {name}"
        raise click.ClickException(
            f"`{words}` needs more packages than are here ({error}). Install this package with its extra `demo`, or "
            f"run `make setup` in a checkout, then .venv/bin/{words}."
        ) from error
    return command


def listing(**attributes: Any) -> Callable[[Callable[..., None]], click.Group]:
    """Makes a group of a noun that may be called without a command, and then lists the noun; it takes `--json`."""
    group: Callable[..., click.Group] = click.group(invoke_without_command=True, **attributes)
    option = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
    return lambda function: group(option(click.pass_context(function)))
