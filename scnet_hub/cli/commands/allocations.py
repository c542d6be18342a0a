"""`scnet allocation` and `scnet project`: requested and granted allocations, and how much each member may spend."""

from __future__ import annotations

from urllib.parse import quote

import click

from ...client.rest import Client
from ...units import format_number
from ..app import Answer, Json, plain, print_table, reading
from ..values import TIME, Credits
from .balance import AMOUNTS, ceilings, use

HEADS = ("id", "project", "credits", "state", "from", "until", "centres", "asked by", "answer")


@click.group(invoke_without_command=True)
@click.pass_context
def allocation(ctx: click.Context) -> None:
    """Work with the allocations that your projects requested and were granted. Without a command: list them."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_allocations, as_json=False)


@allocation.command("list")
@click.option("--project", default="", help="Only of this project.")
@click.option(
    "--state", default="", help="Only in this state: requested, approved, active, ended, declined or withdrawn."
)
@reading
def list_allocations(client: Client, project: str = "", state: str = "") -> Answer:
    """List allocations, newest first."""
    document = client.listed("allocations", "allocations", params={"project": project, "state": state})
    return Answer(document, lambda: print_table(HEADS, [line(one) for one in document["allocations"]], numbers=(2,)))


@allocation.command()
@click.argument("project")
@click.argument("credits", type=Credits())
@click.option("--why", "words", prompt="Purpose", help="The purpose, for the people who decide.")
@click.option("--from", "begins_at", default="", type=TIME, metavar="DATE", help="First day. Default: now.")
@click.option(
    "--until", "ends_at", default="", type=TIME, metavar="DATE", help="When unspent credits expire. Default: never."
)
@click.option(
    "--centre", "centres", multiple=True, help="Where the credits may be spent (repeatable). Default: everywhere."
)
@click.option("--renews", default="", metavar="ID", help="The allocation whose remainder is taken over.")
@reading
def request(client: Client, project: str, credits: float, **said: object) -> Answer:
    """Request CREDITS for PROJECT: its PI or a manager may."""
    body = {"project": project, "amount": credits, **said, "centres": list(said["centres"])}  # type: ignore[call-overload]
    return answered(client.call("POST", "allocations", json=body))


@allocation.command()
@click.argument("allocation_id", metavar="ID")
@click.option("--amount", type=Credits(), help="Grant another amount than was requested.")
@click.option("--grantor", default="", help="Who grants the credits. Default: the federation.")
@click.option("--words", default="", help="A message to the people who requested it.")
@reading
def approve(client: Client, allocation_id: str, amount: float | None, grantor: str, words: str) -> Answer:
    """Operators: grant a requested allocation."""
    body = {"amount": amount, "grantor": grantor, "words": words}
    return answered(client.call("POST", f"allocations/{quote(allocation_id, safe='')}/approve", json=body))


@allocation.command()
@click.argument("allocation_id", metavar="ID")
@click.option("--words", prompt="Reason", help="The reason, for the people who requested it.")
@reading
def decline(client: Client, allocation_id: str, words: str) -> Answer:
    """Operators: decline a requested allocation, with the reason."""
    return answered(client.call("POST", f"allocations/{quote(allocation_id, safe='')}/decline", json={"words": words}))


@allocation.command()
@click.argument("allocation_id", metavar="ID")
@reading
def withdraw(client: Client, allocation_id: str) -> Answer:
    """Withdraw a request that is not answered yet."""
    return answered(client.call("POST", f"allocations/{quote(allocation_id, safe='')}/withdraw"))


def answered(one: Json) -> Answer:
    return Answer(one, lambda: print_table(HEADS, [line(one)], numbers=(2,)))


def line(one: Json) -> tuple[str, ...]:
    return (
        one["id"], one["project"], format_number(one["amount"]), one["state"], day(one["begins_at"]),
        day(one["ends_at"]), ", ".join(one["centres"]) or "all", one["asked_by"] or "-", plain(one["answer"]) or "-",
    )  # fmt: skip


def day(at: str | None) -> str:
    return at[:10] if at else "-"


@click.command()
@click.argument("project_id", metavar="PROJECT")
@reading
def project(client: Client, project_id: str) -> Answer:
    """Show a project: its credits and until when they last, and how much each member spent."""
    document = client.call("GET", f"projects/{quote(project_id, safe='')}")
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
