"""`scnet people`: for operators, erasing a person's name."""

from __future__ import annotations

from urllib.parse import quote

import click

from ...client.rest import Client
from ..app import Answer, Json, print_table, reading


@click.group()
def people() -> None:
    """Operators: manage the data that is stored about people."""


@people.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Don't ask first.")
@reading
def erase(client: Client, name: str, yes: bool) -> Answer:
    """Replace NAME with a random name everywhere, for ever. Usage and payments stay."""
    if not yes:
        click.confirm(f"Erase {name}? This can't be undone.", abort=True, err=True)
    document = client.call("POST", f"people/{quote(name, safe='')}/erase", timeout=600)
    return Answer(document, lambda: print_rows(document))


def print_rows(document: Json) -> None:
    print_table(("table", "rows changed"), [(name, str(rows)) for name, rows in document["rows"].items()], numbers=(1,))
    click.echo(
        "Erased here. The broker does not hold the hub's list of users, logs, backups and homes at centres: "
        "see the docs."
    )
