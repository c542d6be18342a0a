"""`scnet periods`: the months of the books, what prevents closing them, and how operators close and export them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import BinaryIO
from urllib.parse import quote

import click

from ...client.rest import Client
from ...errors import BadOption
from ...units import format_number
from ..app import Answer, Json, plain, print_table, reading
from ..commands.statements import HEADS, NUMBERS, line
from ..groups import listing

SHORT = 3  # missing days of a centre that the sentence of a hindrance lists


@listing()
def periods(ctx: click.Context, as_json: bool) -> None:
    """Work with the months of the federation's books. Without a command: list them."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_periods, as_json=as_json)


@periods.command("list")
@reading
def list_periods(client: Client) -> Answer:
    """List months, newest first, with the number of hindrances."""
    document = client.listed("periods", "periods")
    return Answer(document, lambda: print_periods(document["periods"]))


@periods.command()
@click.argument("name", metavar="MONTH")
@reading
def show(client: Client, name: str) -> Answer:
    """Operators: show a month with everything that prevents closing it; once it is closed, its statements."""
    document = client.call("GET", f"periods/{quote(name, safe='')}")
    return Answer(document, lambda: print_period(document))


@periods.command()
@click.argument("name", metavar="MONTH")
@click.option(
    "--excuse", "excuses", multiple=True, metavar="CENTRE=WORDS", help="Why not to wait for that centre (repeatable)."
)
@click.option("--preview", "--dry-run", "preview", is_flag=True, help="Show the totals so far; closes nothing.")
@reading
def close(client: Client, name: str, excuses: Sequence[str], preview: bool) -> Answer:
    """Operators: close a month for ever; its statements are sent to the members."""
    said = dict(_excuse(one) for one in excuses)
    document = client.call(
        "POST", f"periods/{quote(name, safe='')}/close", json={"excuses": said, "preview": preview}, timeout=3600
    )
    return Answer(document, lambda: print_closing(document))


def _excuse(text: str) -> tuple[str, str]:
    centre, equals, words = text.partition("=")
    if not (centre and equals and words.strip()):
        raise click.BadParameter(
            f"{text!r}: write it like --excuse 'alpha=its accounting was lost'.", param_hint="--excuse"
        )
    return centre, words


@periods.command()
@click.argument("name", metavar="MONTH")
@click.option("--focus", default="", metavar="FILE", help="Write its bills as FOCUS 1.2 CSV; - is stdout.")
@click.option(
    "--usage",
    default="",
    metavar="FILE",
    help="Operators: write its usage as CloudEvents, one JSON a line; - is stdout.",
)
@click.option("--book", default="GRANT", help="The book of the bills: GRANT or CNY.")
@click.option("--member", default="", help="Only the bills that this member pays.")
@click.option("--centre", default="", help="Only the usage of this centre.")
@reading
def export(client: Client, name: str, focus: str, usage: str, book: str, member: str, centre: str) -> Answer:
    """Export a month's bills and usage as files."""
    if not (focus or usage):
        raise click.UsageError("Give --focus FILE or --usage FILE, or both.")
    place, written = f"periods/{quote(name, safe='')}", {}
    if focus:
        written["focus"] = _write(client, f"{place}/bills", {"book": book, "member": member}, focus)
    if usage:
        written["usage"] = _write(client, f"{place}/usage", {"centre": centre}, usage)
    document = {"period": name, "written": written}
    return Answer(
        document,
        lambda: click.echo("\n".join(f"{one['file']}: {one['bytes']:,} bytes" for one in written.values()), err=True),
    )


def _write(client: Client, path: str, params: dict[str, str], file: str) -> Json:
    with ExitStack() as stack:
        target = sys.stdout.buffer if file == "-" else None
        written = 0
        for part in client.download(path, params={key: value for key, value in params.items() if value}):
            target = target or stack.enter_context(_new(file))  # opened only now: a refusal leaves no file
            written += target.write(part)
    return {"file": file, "bytes": written}


def _new(file: str) -> BinaryIO:
    try:
        return open(file, "wb")
    except OSError as error:
        raise BadOption(f"{file} can't be written: {error.strerror}.") from error


# ---- for people


def print_periods(months: Sequence[Json]) -> None:
    if not months:
        click.echo("The books are empty: their first month begins with their first entry.")
        return
    heads = ("month", "state", "closed", "by", "journal", "hindered by")
    rows = (
        (
            one["name"], _state(one), (one["closed_at"] or "-")[:10], one["closed_by"] or "-",
            f"{one['entries']:,} entries" if one["entries"] else "-", str(len(one["hinders"]) or "-"),
        )
        for one in months
    )  # fmt: skip
    print_table(heads, rows)


def _state(one: Json) -> str:
    return "closing (its statements are being made)" if one["cut"] and one["state"] == "closing" else str(one["state"])


def print_period(one: Json) -> None:
    click.echo(plain(f"{one['name']} is {_state(one)}: from {one['start']} to {one['end']}."))
    for words in one["hinders"]:
        click.echo(plain(f"- {words}"))
    for centre in one["centres"]:
        if len(centre["missing"]) > SHORT and not centre["excuse"]:
            click.echo(plain(f"Everything that is missing of {centre['centre']}:\n  " + "\n  ".join(centre["missing"])))
    for centre, words in one["excuses"].items():
        click.echo(plain(f"Closed without {centre}: {words}"))
    if one["state"] == "closing" and not one["hinders"] and not one["cut"]:
        click.echo(f"Nothing prevents closing it: `scnet periods close {one['name']}`.")
    if one["head"]:
        click.echo(
            f"Its statements are made from the journal's first {one['entries']:,} entries; the hash of the last "
            f"one is {one['head']}."
        )
    if "statements" in one:
        print_statements(one["statements"], one["netting"])


def print_closing(document: Json) -> None:
    one = document["period"]
    if document["closed"]:
        click.echo(plain(f"{one['name']} is closed."))
    else:
        click.echo(plain(f"{one['name']} so far; nothing was closed."))
        for words in one["hinders"]:
            click.echo(plain(f"- {words}"))
    print_statements(document["statements"], document["netting"])


def print_statements(statements: Sequence[Json], netting: Json) -> None:
    print_table(HEADS, [line(one) for one in statements], numbers=NUMBERS)
    for one in netting["payments"]:
        click.echo(plain(f"{one['payer']} pays {one['payee']} {format_number(one['amount'])} {netting['unit']}"))
