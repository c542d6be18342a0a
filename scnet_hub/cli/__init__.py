"""`scnet`: the broker's REST in a terminal. One file for each noun; each command is one call and one table.

Every reading command has `--json`: exactly one JSON document on stdout, everything else on stderr. Exit codes: 0 done,
1 refused or failed (with `--json` the problem document on stdout), 2 wrong usage. Nothing here knows the hub's side.
"""

from __future__ import annotations

from importlib import import_module

import click

from .. import __version__
from .app import App
from .commands.accounts import accounts
from .commands.allocations import allocation, project
from .commands.balance import balance
from .commands.centres import centres, place
from .commands.doctor import doctor
from .commands.jobs import cancel, jobs, logs, run
from .commands.quote import quote
from .commands.sessions import log, sessions, stop
from .commands.statements import statement
from .commands.tariff import tariff
from .commands.usage import usage
from .operators.decisions import decisions
from .operators.ledger import ledger
from .operators.orphans import orphans, write_off
from .operators.period import period
from .operators.persons import person
from .operators.suspense import suspense

# Commands whose modules take a second to import, or need more than a compute node has: (module, name, help text).
LATER = {
    "centre": (
        "scnet_hub.enrolment.cli",
        "centre",
        "Join a centre to the federation: add, check, deploy, remove, list.",
    ),
    "simulate": (
        "scnet_hub.cli.operators.simulate",
        "command",
        "Replay logs at many centres and place sessions by each policy.",
    ),
    "demo": ("scnet_hub.demo.cli", "demo", "Start a whole federation on this machine; Ctrl-C stops it."),
}


class Group(click.Group):
    """A group that imports the commands of LATER only when one of them is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *LATER})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in LATER:
            return click.Command(cmd_name, help=LATER[cmd_name][2])
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        return name, load(name) if name in LATER else command, rest


def load(name: str) -> click.Command:
    module, attribute, _ = LATER[name]
    try:
        command: click.Command = getattr(import_module(module), attribute)
    except ImportError as error:
        raise click.ClickException(
            f"`scnet {name}` needs more packages than are here ({error}). Install this package with its extra `demo`, "
            f"or run `make setup` in a checkout, then .venv/bin/scnet {name}."
        ) from error
    return command


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="scnet")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Work with a federation of supercomputing centres."""
    ctx.ensure_object(App)


for command in (
    accounts,
    allocation,
    balance,
    cancel,
    centres,
    decisions,
    doctor,
    jobs,
    ledger,
    log,
    logs,
    orphans,
    period,
    person,
    place,
    project,
    quote,
    run,
    sessions,
    statement,
    stop,
    suspense,
    tariff,
    usage,
    write_off,
):
    cli.add_command(command)


def main() -> None:
    cli(prog_name="scnet")
