"""`scnet allocations`: the allocations that projects requested and were granted."""

from __future__ import annotations

from urllib.parse import quote

import click

from ...client.rest import Client
from ...units import format_number
from ..app import Answer, Json, plain, print_table, reading
from ..groups import listing
from ..values import TIME, Credits

HEADS = ("id", "project", "credits", "state", "from", "until", "centres", "asked by", "answer")


@listing()
def allocations(ctx: click.Context, as_json: bool) -> None:
    """Work with the allocations that your projects requested and were granted. Without a command: list them."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_allocations, as_json=as_json)


@allocations.command("list")
@click.option("--project", default="", help="Only of this project.")
@click.option(
    "--state", default="", help="Only in this state: requested, approved, active, ended, declined or withdrawn."
)
@reading
def list_allocations(client: Client, project: str = "", state: str = "") -> Answer:
    """List allocations, newest first."""
    document = client.listed("allocations", "allocations", params={"project": project, "state": state})
    return Answer(document, lambda: print_table(HEADS, [line(one) for one in document["allocations"]], numbers=(2,)))


@allocations.command()
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


@allocations.command()
@click.argument("allocation_id", metavar="ID")
@click.option("--amount", type=Credits(), help="Grant another amount than was requested.")
@click.option("--grantor", default="", help="Who grants the credits. Default: the federation.")
@click.option("--words", default="", help="A message to the people who requested it.")
@reading
def approve(client: Client, allocation_id: str, amount: float | None, grantor: str, words: str) -> Answer:
    """Operators: grant a requested allocation."""
    body = {"amount": amount, "grantor": grantor, "words": words}
    return answered(client.call("POST", f"allocations/{quote(allocation_id, safe='')}/approve", json=body))


@allocations.command()
@click.argument("allocation_id", metavar="ID")
@click.option("--words", prompt="Reason", help="The reason, for the people who requested it.")
@reading
def decline(client: Client, allocation_id: str, words: str) -> Answer:
    """Operators: decline a requested allocation, with the reason."""
    return answered(client.call("POST", f"allocations/{quote(allocation_id, safe='')}/decline", json={"words": words}))


@allocations.command()
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
