"""`scnet person`: for operators, forgetting somebody."""

from __future__ import annotations

from urllib.parse import quote

import click

from ...client.rest import Client
from ..app import Answer, Json, print_table, reading


@click.group()
def person() -> None:
    """Operators: what is stored of people."""


@person.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Without asking.")
@reading
def forget(client: Client, name: str, yes: bool) -> Answer:
    """Put a random name where NAME stands; for ever. What was used and paid stays."""
    if not yes:
        click.confirm(f"Forget {name}? Nobody can undo it.", abort=True, err=True)
    document = client.call("POST", f"people/{quote(name, safe='')}/erase", timeout=600)
    return Answer(document, lambda: show(document))


def show(document: Json) -> None:
    print_table(("table", "rows changed"), [(name, str(rows)) for name, rows in document["rows"].items()], numbers=(1,))
    click.echo("Forgotten here. The hub's own list of users, logs, backups and homes at centres are not the broker's: see the docs.")
