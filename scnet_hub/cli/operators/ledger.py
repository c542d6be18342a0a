"""`scnet ledger`: for operators, whether the books are right."""

from __future__ import annotations

import click

from ...client.rest import Client
from ..app import Answer, Json, plain, reading


@click.group()
def ledger() -> None:
    """Check the federation's books."""


@ledger.command()
@reading
def verify(client: Client) -> Answer:
    """Check all entries: each balances, none was changed since it was sealed, and balances equal the sums of the
    entries."""
    document = client.call("GET", "ledger/verify", timeout=600)
    return Answer(document, lambda: print_verdict(document), ok=document["ok"])


def print_verdict(document: Json) -> None:
    sealed = f"{document['entries']:,} entries, {document['sealed']:,} of them sealed"
    click.echo(f"The books are right: {sealed}." if document["ok"] else f"The books are NOT right ({sealed}):")
    for problem in document["problems"]:
        click.echo(plain(f"- {problem}"))
    if (more := document["found"] - len(document["problems"])) > 0:
        click.echo(f"- and {more:,} more")
    if document["head"]:
        click.echo(
            f"The last sealed entry's hash is {document['head']}. Keep this hash: it shows whether an earlier "
            "entry is ever changed."
        )
