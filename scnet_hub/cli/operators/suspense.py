"""`scnet suspense`, `scnet usage pull`, `scnet usage take`: for operators, usage records that can't be charged, and how
usage records arrive.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TextIO
from urllib.parse import quote

import click

from ...client.rest import Client
from ..app import Answer, Json, plain, print_table, reading
from ..commands.usage import usage
from ..groups import listing
from ..values import DAY, Whole

AT_ONCE = 200  # events in one call


@listing()
def suspense(ctx: click.Context, as_json: bool) -> None:
    """Work with usage records that can't be charged until an operator decides. Without a command: list them."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_records, as_json=as_json, centre="", decided=False)


@suspense.command("list")
@click.option("--centre", default="", metavar="C", help="Only records of this centre.")
@click.option("--decided", is_flag=True, help="Also show decided records.")
@reading
def list_records(client: Client, centre: str, decided: bool) -> Answer:
    """List records, oldest first, with the reason of each."""
    params = {name: value for name, value in {"centre": centre, "decided": "true" if decided else ""}.items() if value}
    document = client.listed("usage-records/suspense", "records", params=params)
    return Answer(document, lambda: print_records(document))


def print_records(document: Json) -> None:
    rows = [
        (str(one["id"]), one["centre"], one["job"], one["session"] or "-", one["state"], why(one))
        for one in document["records"]
    ]
    if rows:
        print_table(("id", "centre", "job", "session", "state", "why"), rows, numbers=[0])
    waiting = sum(one["state"] == "suspense" for one in document["records"]) + document["more"]
    click.echo(
        f"{waiting} usage record{'s' * (waiting != 1)} in suspense." if waiting else "No usage record is in suspense."
    )


def why(one: Json) -> str:
    return str(one["reason"] or f"{one['decision']} ({one['decided_by']})")


@suspense.command()
@click.argument("number", metavar="ID", type=Whole(1))
@click.argument("decision", type=click.Choice(["drop", "believe"]))
@click.option("--words", required=True, help="The reason; it stays with the record and appears in the session's log.")
@reading
def decide(client: Client, number: int, decision: str, words: str) -> Answer:
    """Decide about a record. drop: it is not charged. believe: it is charged all the same."""
    document = client.call("POST", f"usage-records/suspense/{number}", json={"decision": decision, "words": words})
    return Answer(
        document, lambda: click.echo(plain(f"Record {document['id']} of {document['centre']} is {document['state']}."))
    )


@usage.command()
@click.argument("centre")
@click.option("--day", required=True, type=DAY, metavar="DAY", help="2026-11-01, in the federation's zone.")
@click.option("--to", default="", type=DAY, metavar="DAY", help="Also the days up to this day.")
@reading
def pull(client: Client, centre: str, day: str, to: str) -> Answer:
    """Operators: ask a centre's accounting again for a day; exit code 1 while something is missing."""
    document = client.call(
        "POST", f"centres/{quote(centre, safe='')}/usage-records/pull", json={"day": day, "to": to}, timeout=600
    )
    return Answer(document, lambda: print_days(document), ok=not any(one["missing"] for one in document["manifests"]))


def print_days(document: Json) -> None:
    for one in document["manifests"]:
        said = "complete" if not one["missing"] else f"not complete: {'; '.join(one['missing'])}"
        click.echo(plain(f"{one['day']}: {one['finals']:,} runs ended, {len(one['open_jobs']):,} went on: {said}."))


@usage.command()
@click.argument("file", type=click.File(encoding="utf-8"))
@reading
def take(client: Client, file: TextIO) -> Answer:
    """Operators: take in usage records that a centre exported, one CloudEvent a line."""
    taken, sessions = 0, set[str]()
    for lines in _batches(line for line in file if line.strip()):
        document = client.call("POST", "usage-records/events", json={"events": lines}, timeout=600)
        taken, sessions = taken + document["taken"], sessions | {*document["sessions"]}
    told = {"taken": taken, "sessions": sorted(sessions)}
    return Answer(
        told, lambda: click.echo(f"{taken:,} records; news for {len(sessions):,} session{'s' * (len(sessions) != 1)}.")
    )


def _batches(lines: Iterator[str]) -> Iterator[list[str]]:
    while some := [line.strip() for line in islice(lines, AT_ONCE)]:
        yield some
