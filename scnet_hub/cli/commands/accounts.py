"""`scnet accounts`: the account that your jobs use at each centre; link an account, prove it, unlink it."""

from __future__ import annotations

from urllib.parse import quote

import click

from ...client.rest import Client
from ..app import Answer, Json, print_table, reading
from ..groups import listing

HOW = {"list": "by the centre's list", "proof": "by your proof"}


@listing()
def accounts(ctx: click.Context, as_json: bool) -> None:
    """Work with your accounts at the centres. Without a command: list them."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_accounts, as_json=as_json)


@accounts.command("list")
@click.option("--all", "everything", is_flag=True, help="Also show ended links.")
@reading
def list_accounts(client: Client, everything: bool = False) -> Answer:
    """List the accounts that your jobs use, centre by centre."""
    document = client.listed("account-links", "account_links", params={"all": 1} if everything else {})
    centres = client.centres()
    return Answer(document, lambda: print_accounts(document["account_links"], centres))


def print_accounts(links: list[Json], centres: list[Json]) -> None:
    heads = ("centre", "account", "person", "linked", "since", "until")
    rows: list[tuple[str, ...]] = [
        (
            one["centre"],
            one["account"],
            one["person"],
            HOW.get(str(one["how"]), "-"),
            one["linked_at"][:10],
            str(one["ended_at"] or "-")[:10],
        )
        for one in links
    ]
    linked = {one["centre"] for one in links if not one["ended_at"]}
    shared = [
        (one["id"], "(shared)", "all people", "one account for all: for demos only", "-", "-")
        for one in centres
        if one.get("identity") == "shared"
    ]
    print_table(heads, [*rows, *shared])
    for one in centres:
        if one["id"] not in linked and one.get("identity") not in ("shared", None):
            click.echo(f"Not linked at {one['name']}: scnet accounts link {one['id']} YOUR-ACCOUNT-THERE")


@accounts.command()
@click.argument("centre")
@click.argument("account")
@reading
def link(client: Client, centre: str, account: str) -> Answer:
    """Link your ACCOUNT at CENTRE: shows a command that you run there to prove that the account is yours."""
    document = client.call("POST", f"account-links/{quote(centre, safe='')}", json={"account": account})

    def words() -> None:
        click.echo(f"Sign in at {centre} as {account}, as usual, and run:\n\n    {document['command']}\n")
        click.echo(f"Then, within {document['valid_s'] / 60:.0f} minutes, run here: scnet accounts prove {centre}")

    return Answer(document, words)


@accounts.command()
@click.argument("centre")
@reading
def prove(client: Client, centre: str) -> Answer:
    """Look for the word that you left at CENTRE, and link the account."""
    document = client.call("POST", f"account-links/{quote(centre, safe='')}/proof")
    return Answer(document, lambda: click.echo(f"Linked. At {centre} your jobs run as {document['account']}."))


@accounts.command()
@click.argument("centre")
@reading
def unlink(client: Client, centre: str) -> Answer:
    """Unlink your account at CENTRE; running sessions there continue."""
    document = client.call("DELETE", f"account-links/{quote(centre, safe='')}")
    return Answer(document, lambda: click.echo(f"No longer linked: {document['account']} at {centre}."))
