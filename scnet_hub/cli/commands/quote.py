"""`scnet quote`: what a session would cost, before it is started."""

from __future__ import annotations

from typing import Any

import click

from ...client.rest import Client
from ..app import Answer, Json, plain, reading
from ..options import given, needs


@click.command()
@needs
@click.option("--kind", type=click.Choice(["lab", "dask", "batch"]), help="A batch job holds all at once, the others by and by (lab).")
@reading
def quote(client: Client, **asked: Any) -> Answer:
    """What that would cost where it would go now: at least, probably, at most, and what is left then. Starts nothing."""
    document = client.call("POST", "quotes", json=given(asked))
    return Answer(document, lambda: show(document))


def show(one: Json) -> None:
    click.echo(plain(f"At {one['centre_name'] or one['centre']}, partition {one['partition']}:"))
    for sentence in one["sentences"]:
        click.echo(plain(sentence))
