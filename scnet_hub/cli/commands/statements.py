"""`scnet statements`: what your member earned and owes for a month, and your answer to it."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

import click

from ...client.rest import Client
from ...units import format_number
from ..app import Answer, Json, plain, print_table, reading

HEADS = ("statement", "member", "net", "due", "state", "until", "words")
NUMBERS = (2, 3)
OPTIONS = (
    click.option("--period", default="", metavar="MONTH", help="Only of this month."),
    click.option("--member", default="", help="Only of this member."),
    click.option("--state", default="", help="Only in this state: issued, accepted, disputed or settled."),
    click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout."),
)


def filters(function: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(OPTIONS):
        function = option(function)
    return function


@click.group(invoke_without_command=True)
@filters
@click.pass_context
def statements(ctx: click.Context, /, as_json: bool, **given: str) -> None:
    """Work with your members' statements (operators: all). Without a command: list them. A statement's name is
    MONTH/BOOK/MEMBER."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_statements, as_json=as_json, **given)


@statements.command("list")
@click.option("--period", default="", metavar="MONTH", help="Only of this month.")
@click.option("--member", default="", help="Only of this member.")
@click.option("--state", default="", help="Only in this state: issued, accepted, disputed or settled.")
@reading
def list_statements(client: Client, **given: str) -> Answer:
    """List statements, newest month first."""
    document = client.listed("statements", "statements", params={key: value for key, value in given.items() if value})
    return Answer(document, lambda: print_table(HEADS, [line(one) for one in document["statements"]], numbers=NUMBERS))


@statements.command()
@click.argument("name", metavar="MONTH/BOOK/MEMBER")
@reading
def show(client: Client, name: str) -> Answer:
    """Show a statement with its lines: the member gets positive amounts."""
    document = client.call("GET", place(name))
    return Answer(document, lambda: print_statement(document))


@statements.command()
@click.argument("name", metavar="MONTH/BOOK/MEMBER")
@click.option("--after", default=0, metavar="N", help="Only entries after the Nth.")
@reading
def entries(client: Client, name: str, after: int) -> Answer:
    """Show the entries that the statement's lines add up, 500 at a time."""
    document = client.call("GET", f"{place(name)}/entries", params={"after": after}, timeout=600)
    return Answer(document, lambda: print_entries(document, name))


@statements.command()
@click.argument("name", metavar="MONTH/BOOK/MEMBER")
@reading
def accept(client: Client, name: str) -> Answer:
    """Accept a statement as right. Also withdraws a dispute."""
    return _answered(client, name, "accept", "")


@statements.command()
@click.argument("name", metavar="MONTH/BOOK/MEMBER")
@click.option("--words", prompt="What is wrong", help="Which line is wrong, and the right amount.")
@reading
def dispute(client: Client, name: str, words: str) -> Answer:
    """Dispute a statement as wrong. The result is a correction in a later month."""
    return _answered(client, name, "dispute", words)


@statements.command()
@click.argument("name", metavar="MONTH/BOOK/MEMBER")
@click.option("--words", default="", help="After a dispute: the decision.")
@reading
def settle(client: Client, name: str, words: str) -> Answer:
    """Operators: mark a statement as paid, or as nothing owed."""
    return _answered(client, name, "settle", words)


def _answered(client: Client, name: str, verb: str, words: str) -> Answer:
    document = client.call("POST", f"{place(name)}/{verb}", json={"words": words})
    return Answer(document, lambda: click.echo(plain(f"{document['name']} is {document['state']}.")))


def place(name: str) -> str:
    """Returns the statement's path. Raises click's error if `name` is not a statement's name."""
    parts = name.split("/")
    if len(parts) != 3 or not all(parts):
        raise click.BadParameter(
            f"{name!r}: write it like 2026-11/GRANT/alpha; `scnet statements` lists them.", param_hint="statement"
        )
    return "statements/" + "/".join(quote(part, safe="") for part in parts)


# ---- for people


def line(one: Json) -> tuple[str, ...]:
    return (
        one["name"], one["title"], format_number(one["net"]), f"{format_number(one['due'])} "
        f"{one['due_unit']}", one["state"],
        (one["accept_by"] or "-")[:10], one["words"] or "-",
    )  # fmt: skip


def print_statement(one: Json) -> None:
    unit = "credits" if one["book"] == "GRANT" else one["book"]
    click.echo(plain(f"Statement {one['name']} of {one['title']}: net {format_number(one['net'])} {unit}."))
    rows = [
        (
            each["column"].replace("_", " "),
            each["account"],
            format_number(each["amount"]),
            f"{each['entries']:,}",
            each["corrects"] or "-",
        )
        for each in one["lines"]
    ]
    print_table(("column", "account", unit, "entries", "corrects"), rows, numbers=(2, 3))
    for each in one["reimbursements"]:
        money = f"{format_number(each['money'])} {one['due_unit']}"
        of = f"{format_number(each['credits'])} credits at {each['rate']:g}"
        click.echo(plain(f"{each['grantor']} owes {each['member']} {money}: {of}"))
    click.echo(f"Due: {format_number(one['due'])} {one['due_unit']}.")
    by = f" by {one['answered_by']}" if one["answered_by"] else ""
    words = f": {one['words']}" if one["words"] else ""
    until = (
        f" You can dispute it until {one['accept_by'][:16].replace('T', ' ')} UTC." if "dispute" in one["may"] else ""
    )
    click.echo(plain(f"It is {one['state']}{by}{words}.{until}"))
    for line in one["trail"][:-1]:
        click.echo(plain(f"- {line}"))
    click.echo(f"Made from the journal's first {one['entries']:,} entries; the hash of the last one is {one['head']}.")


def print_entries(document: Json, name: str) -> None:
    heads = ("at (UTC)", "entry", "project", "column", "account", "amount", "corrects")
    rows = [
        (
            each["at"][:16].replace("T", " "), each["key"], each["project"] or "-", each["column"].replace("_", " "),
            each["account"], format_number(each["amount"]), each["corrects"] or "-",
        )
        for each in document["entries"]
    ]  # fmt: skip
    print_table(heads, rows, numbers=(5,))
    if document["next"]:
        click.echo(plain(f"There are more: `scnet statements entries {name} --after {document['next']}`."))
