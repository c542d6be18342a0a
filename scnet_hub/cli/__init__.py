"""`scnet`: the broker's REST in a terminal. One file for each noun; each command is one call and one table.

Every reading command has `--json`: exactly one JSON document on stdout, everything else on stderr. Exit codes: 0 done,
1 refused or failed (with `--json` the problem document on stdout), 2 wrong usage. Nothing here knows the hub's side.
"""

from __future__ import annotations

import click

from .. import __version__
from .app import App
from .commands.accounts import accounts
from .commands.allocations import allocations
from .commands.balances import balances
from .commands.centres import centres, place
from .commands.clusters import clusters
from .commands.doctor import doctor
from .commands.jobs import jobs, run
from .commands.logs import logs
from .commands.projects import projects
from .commands.quote import quote
from .commands.sessions import sessions, stop
from .commands.statements import statements
from .commands.tariffs import tariffs
from .commands.usage import usage
from .groups import Group, Later
from .operators.decisions import decisions
from .operators.ledger import ledger
from .operators.orphans import orphans, write_off
from .operators.people import people
from .operators.periods import periods
from .operators.suspense import suspense

LATER = {
    "simulate": Later(
        "scnet_hub.cli.operators.simulate", "command", "Replay logs at many centres and place sessions by each policy."
    ),
    "demo": Later("scnet_hub.demo.cli", "demo", "Start a whole federation on this machine; Ctrl-C stops it."),
}


@click.group(cls=Group, later=LATER, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="scnet")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Work with a federation of supercomputing centres."""
    ctx.ensure_object(App)


for command in (
    accounts,
    allocations,
    balances,
    centres,
    decisions,
    doctor,
    jobs,
    clusters,
    ledger,
    logs,
    orphans,
    people,
    periods,
    place,
    projects,
    quote,
    run,
    sessions,
    statements,
    stop,
    suspense,
    tariffs,
    usage,
    write_off,
):
    cli.add_command(command)


def main() -> None:
    cli(prog_name="scnet")
