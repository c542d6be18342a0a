"""`scnet quote`: the cost of a session before it is started."""

from __future__ import annotations

from typing import Any

import click

from ...client.rest import Client
from ..app import Answer, Json, plain, reading
from ..options import given, needs


@click.command()
@needs
@click.option(
    "--kind",
    type=click.Choice(["lab", "dask", "batch"]),
    help="Batch jobs hold the full cost at the start; other kinds hold it in steps. Default: lab.",
)
@reading
def quote(client: Client, **asked: Any) -> Answer:
    """Show the cost of such a session where it would run now: at least, probably, at most, and the credits left then.
    Starts nothing."""
    document = client.call("POST", "quotes", json=given(asked))
    return Answer(document, lambda: print_quote(document))


def print_quote(one: Json) -> None:
    click.echo(plain(f"At {one['centre_name'] or one['centre']}, partition {one['partition']}:"))
    for sentence in one["sentences"]:
        click.echo(plain(sentence))
