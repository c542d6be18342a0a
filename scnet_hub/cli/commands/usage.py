"""`scnet usage`: your or your project's usage and its cost, by day, centre, session or person, with the formula of each
charge.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from ...client.rest import Client
from ...units import format_number
from ..app import Answer, Json, plain, print_table, reading
from ..values import TIME

Line = Callable[[Json], tuple[str, ...]]


@reading
def listed(client: Client, **given: str) -> Answer:
    document = client.usage(**given)
    return Answer(document, lambda: print_usage(document))


def print_usage(document: Json) -> None:
    heads, line = TABLES[document["by"]]
    rows = [one for one in document["rows"] if one["charged"] or one["in_flight"] or document["by"] != "day"]
    if rows:
        print_table(
            (*heads, "charged", "in flight"), [(*line(one), *amounts(one)) for one in rows], numbers=numbers(heads)
        )
    for one in rows if document["by"] == "session" else ():
        print_charges(one)
    if document["more"]:
        click.echo(f"and {document['more']:,} more: choose a shorter time.")
    of = " ".join(
        filter(
            None,
            (document["person"] and f"of {document['person']}", document["project"] and f"in {document['project']}"),
        )
    )
    sums = (
        f"{format_number(document['charged'])} credits charged, {format_number(document['in_flight'])} in flight "
        "(estimated)"
    )
    days = f"from {document['first_day']} to {document['last_day']}, days of {document['zone']}"
    click.echo(plain(f"Usage {of or 'of all'} {days}: {sums}."))


def print_charges(one: Json) -> None:
    """Prints a session's charges with their formulas, a line for each."""
    if not one["charges"]:
        return
    click.echo(plain(f"\n{one['session']} {one['name']}".rstrip()))
    for part in one["charges"]:
        taken = "taken back: " if part["kind"] == "reverse" else ""
        click.echo(
            plain(f"  {part['at'][:19].replace('T', ' ')}Z  {format_number(part['amount'])}  {taken}{part['formula']}")
        )


def session_line(one: Json) -> tuple[str, ...]:
    state = "runs" if one["live"] else "waits for its record" if not one["charges"] else "charged"
    return (
        one["session"],
        one["name"] or "-",
        one["kind"],
        one["person"],
        one["centre_name"] or "-",
        (one["started_at"] or "-")[:16],
        state,
    )


def amounts(one: Json) -> tuple[str, ...]:
    return (format_number(one["charged"]), format_number(one["in_flight"]))


def numbers(heads: Sequence[str]) -> list[int]:
    return [place for place, head in enumerate(heads) if head == "sessions"] + [len(heads), len(heads) + 1]


TABLES: dict[str, tuple[tuple[str, ...], Line]] = {
    "day": (("day", "sessions"), lambda one: (one["day"], f"{one['sessions']:,}")),
    "centre": (("centre", "sessions"), lambda one: (one["centre_name"] or "-", f"{one['sessions']:,}")),
    "person": (("person", "sessions"), lambda one: (one["person"] or "-", f"{one['sessions']:,}")),
    "session": (("session", "name", "kind", "person", "centre", "started (UTC)", "state"), session_line),
}


@click.group(invoke_without_command=True)
@click.option(
    "--project", default="", metavar="P", help="A project: all people's usage in it, if you lead it; else yours."
)
@click.option("--person", default="", metavar="NAME", help="In a project that you lead: that person's usage.")
@click.option(
    "--by", type=click.Choice([*TABLES]), default="day", show_default=True, help="Show one line for each of these."
)
@click.option(
    "--since", default="", type=TIME, metavar="DAY", help="First day, such as 2026-11-01. Default: this month's first."
)
@click.option(
    "--until",
    default="",
    type=TIME,
    metavar="DAY",
    help="The day after the last, such as 2026-12-01. Default: until now.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def usage(ctx: click.Context, /, **options: Any) -> None:
    """Show usage and its cost; `--by session` shows how each charge was computed."""
    if ctx.invoked_subcommand is None:
        listed(**options)
