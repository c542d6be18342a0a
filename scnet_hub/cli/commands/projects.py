"""`scnet projects`: a person's projects, and one project's credits, people and open requests."""

from __future__ import annotations

from urllib.parse import quote

import click

from ...client.rest import Client
from ...units import format_number
from ..app import Answer, Json, plain, print_table, reading
from ..groups import listing
from .allocations import day
from .balances import AMOUNTS, ceilings, use


@listing()
def projects(ctx: click.Context, as_json: bool) -> None:
    """Work with your projects. Without a command: list them."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_projects, as_json=as_json)


@projects.command("list")
@reading
def list_projects(client: Client) -> Answer:
    """List your projects; `scnet balances` shows their credits."""
    me = client.call("GET", "me")
    rows = [(one["id"], one["title"], "yes" if one["id"] == me["default_project"] else "") for one in me["projects"]]
    document = {"projects": me["projects"], "default_project": me["default_project"]}
    return Answer(document, lambda: print_table(("project", "title", "default"), rows))


@projects.command()
@click.argument("project", metavar="PROJECT")
@reading
def show(client: Client, project: str) -> Answer:
    """Show a project: its credits and until when they last, and how much each member spent."""
    document = client.call("GET", f"projects/{quote(project, safe='')}")
    return Answer(document, lambda: print_project(document))


def print_project(one: Json) -> None:
    amounts = ", ".join(f"{format_number(one[name])} {name.replace('_', ' ')}" for name in AMOUNTS)
    click.echo(plain(f"{one['title']} ({one['id']}, {one['kind']}): {amounts} credits."))
    at_once = ", ".join(f"{use(quota)} {what.replace('gpus', 'GPUs')}" for what, quota in one["quota"].items())
    for words in (*one["ending"], f"In use at once: {at_once}.", *ceilings(one.get("my_quota", ()))):
        click.echo(plain(words))
    heads = ("lot", "by", "granted", "available", "held", "spent", "until", "centres")
    print_table(heads, [lot_line(lot) for lot in one["lots"]], numbers=range(2, 6))
    print_table(
        ("person", "role", "spent", "held", "may spend"),
        [member_line(who) for who in one["members"]],
        numbers=range(2, 5),
    )
    for asked in one["allocations"]:
        if asked["state"] == "requested":
            amount, since = format_number(asked["amount"]), day(asked["asked_at"])
            click.echo(f"Waiting for an answer: {amount} credits, requested on {since} ({asked['id']}).")


def lot_line(lot: Json) -> tuple[str, ...]:
    amounts = (format_number(lot[name]) for name in ("granted", "available", "held", "spent"))
    return (
        lot["name"] or "-",
        lot["grantor"] or "-",
        *amounts,
        day(lot["ends_at"]),
        ", ".join(lot["centres"]) or "all",
    )


def member_line(who: Json) -> tuple[str, ...]:
    if who["spent"] is None:  # shown only to the people who lead the project
        return (who["person"], who["role"], "-", "-", "-")
    cap = "all" if who["cap"] is None else format_number(who["cap"])
    return (who["person"], who["role"], format_number(who["spent"]), format_number(who["held"]), cap)
