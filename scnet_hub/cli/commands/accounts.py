"""`scnet accounts`: as whom your jobs run at each centre; link one, prove it, let it go."""

from __future__ import annotations

from urllib.parse import quote

import click

from ...client.rest import Client
from ..app import Answer, Json, print_table, reading

HOW = {"list": "by the centre's list", "proof": "by your proof"}


@click.group(invoke_without_command=True)
@click.pass_context
def accounts(ctx: click.Context) -> None:
    """Your accounts at the centres. Without a command: list them."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_accounts, as_json=False)


@accounts.command("list")
@click.option("--all", "everything", is_flag=True, help="Also links that ended.")
@reading
def list_accounts(client: Client, everything: bool = False) -> Answer:
    """As whom your jobs run, centre by centre."""
    document = client.listed("account-links", "account_links", params={"all": 1} if everything else {})
    centres = client.centres()
    return Answer(document, lambda: show(document["account_links"], centres))


def show(links: list[Json], centres: list[Json]) -> None:
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
        (one["id"], "(shared)", "everybody", "one account for all: a demo's way", "-", "-")
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
    """Link your ACCOUNT at CENTRE: shows the command that you run there to prove that it is yours."""
    document = client.call("POST", f"account-links/{quote(centre, safe='')}", json={"account": account})

    def words() -> None:
        click.echo(f"Sign in at {centre} as {account}, the way you always do, and run:\n\n    {document['command']}\n")
        click.echo(f"Then, within {document['valid_s'] / 60:.0f} minutes, here: scnet accounts prove {centre}")

    return Answer(document, words)


@accounts.command()
@click.argument("centre")
@reading
def prove(client: Client, centre: str) -> Answer:
    """Look for the word that you left at CENTRE, and link the account."""
    document = client.call("POST", f"account-links/{quote(centre, safe='')}/proof")
    return Answer(document, lambda: click.echo(f"Linked: at {centre} your jobs run as {document['account']}."))


@accounts.command()
@click.argument("centre")
@reading
def unlink(client: Client, centre: str) -> Answer:
    """Let go of your account at CENTRE; running sessions there go on."""
    document = client.call("DELETE", f"account-links/{quote(centre, safe='')}")
    return Answer(document, lambda: click.echo(f"No longer linked: {document['account']} at {centre}."))
