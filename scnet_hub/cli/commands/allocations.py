"""`scnet allocation` and `scnet project`: what a project asked for and was granted, and who may spend how much of it."""

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
    """What your projects asked for and were granted. Without a command: list them."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_allocations, as_json=False)


@allocation.command("list")
@click.option("--project", default="", help="Of this project only.")
@click.option("--state", default="", help="requested, approved, active, ended, declined or withdrawn.")
@reading
def list_allocations(client: Client, project: str = "", state: str = "") -> Answer:
    """Newest first."""
    document = client.listed("allocations", "allocations", params={"project": project, "state": state})
    return Answer(document, lambda: print_table(HEADS, [line(one) for one in document["allocations"]], numbers=(2,)))


@allocation.command()
@click.argument("project")
@click.argument("credits", type=Credits())
@click.option("--why", "words", prompt="What for", help="What it is for, for those who decide.")
@click.option("--from", "begins_at", default="", type=TIME, metavar="DATE", help="When it begins; now.")
@click.option("--until", "ends_at", default="", type=TIME, metavar="DATE", help="When what is not spent is gone; never.")
@click.option("--centre", "centres", multiple=True, help="Where it may be spent (repeatable); everywhere.")
@click.option("--renews", default="", metavar="ID", help="The allocation whose rest it takes over.")
@reading
def request(client: Client, project: str, credits: float, **said: object) -> Answer:
    """Ask for CREDITS for PROJECT: its PI or a manager may."""
    body = {"project": project, "amount": credits, **said, "centres": list(said["centres"])}  # type: ignore[call-overload]
    return answered(client.call("POST", "allocations", json=body))


@allocation.command()
@click.argument("allocation_id", metavar="ID")
@click.option("--amount", type=Credits(), help="Another amount than was asked for.")
@click.option("--grantor", default="", help="Who gives it; the federation.")
@click.option("--words", default="", help="For those who asked.")
@reading
def approve(client: Client, allocation_id: str, amount: float | None, grantor: str, words: str) -> Answer:
    """Operators: grant what was asked for."""
    body = {"amount": amount, "grantor": grantor, "words": words}
    return answered(client.call("POST", f"allocations/{quote(allocation_id, safe='')}/approve", json=body))


@allocation.command()
@click.argument("allocation_id", metavar="ID")
@click.option("--words", prompt="Why", help="For those who asked.")
@reading
def decline(client: Client, allocation_id: str, words: str) -> Answer:
    """Operators: decline, with the reason."""
    return answered(client.call("POST", f"allocations/{quote(allocation_id, safe='')}/decline", json={"words": words}))


@allocation.command()
@click.argument("allocation_id", metavar="ID")
@reading
def withdraw(client: Client, allocation_id: str) -> Answer:
    """Take a request back that nobody answered yet."""
    return answered(client.call("POST", f"allocations/{quote(allocation_id, safe='')}/withdraw"))


def answered(one: Json) -> Answer:
    return Answer(one, lambda: print_table(HEADS, [line(one)], numbers=(2,)))


def line(one: Json) -> tuple[str, ...]:
    return (
        one["id"], one["project"], format_number(one["amount"]), one["state"], day(one["begins_at"]), day(one["ends_at"]),
        ", ".join(one["centres"]) or "all", one["asked_by"] or "-", plain(one["answer"]) or "-",
    )  # fmt: skip


def day(at: str | None) -> str:
    return at[:10] if at else "-"


@click.command()
@click.argument("project_id", metavar="PROJECT")
@reading
def project(client: Client, project_id: str) -> Answer:
    """A project: what it has and until when, and who spent how much of it."""
    document = client.call("GET", f"projects/{quote(project_id, safe='')}")
    return Answer(document, lambda: show(document))


def show(one: Json) -> None:
    amounts = ", ".join(f"{format_number(one[name])} {name.replace('_', ' ')}" for name in AMOUNTS)
    click.echo(plain(f"{one['title']} ({one['id']}, {one['kind']}): {amounts} credits."))
    at_once = ", ".join(f"{use(quota)} {what.replace('gpus', 'GPUs')}" for what, quota in one["quota"].items())
    for words in (*one["ending"], f"In use at once: {at_once}.", *ceilings(one.get("my_quota", ()))):
        click.echo(plain(words))
    heads = ("lot", "by", "granted", "available", "held", "spent", "until", "centres")
    print_table(heads, [lot_line(lot) for lot in one["lots"]], numbers=range(2, 6))
    print_table(("person", "role", "spent", "held", "may spend"), [member_line(who) for who in one["members"]], numbers=range(2, 5))
    for asked in one["allocations"]:
        if asked["state"] == "requested":
            amount, since = format_number(asked["amount"]), day(asked["asked_at"])
            click.echo(f"Waits for an answer: {amount} credits, asked for on {since} ({asked['id']}).")


def lot_line(lot: Json) -> tuple[str, ...]:
    amounts = (format_number(lot[name]) for name in ("granted", "available", "held", "spent"))
    return (lot["name"] or "-", lot["grantor"] or "-", *amounts, day(lot["ends_at"]), ", ".join(lot["centres"]) or "all")


def member_line(who: Json) -> tuple[str, ...]:
    if who["spent"] is None:  # for who leads the project
        return (who["person"], who["role"], "-", "-", "-")
    cap = "all" if who["cap"] is None else format_number(who["cap"])
    return (who["person"], who["role"], format_number(who["spent"]), format_number(who["held"]), cap)
