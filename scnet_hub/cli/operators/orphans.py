"""`scnet orphans` and `scnet write-off`: for operators, where the centres and the broker disagree."""

from __future__ import annotations

from urllib.parse import quote

import click

from ...client.rest import Client
from ...display.times import second
from ..app import Answer, Json, plain, print_table, reading


@click.command()
@reading
def orphans(client: Client) -> Answer:
    """Show jobs without a session, and sessions whose centre has no job for them."""
    document = client.listed("orphans", "jobs", "sessions")
    return Answer(document, lambda: print_orphans(document))


def print_orphans(document: Json) -> None:
    if not document["jobs"] and not document["sessions"]:
        click.echo("None: every job of ours belongs to a session, and every session's job is known to its centre.")
    if document["jobs"]:
        click.echo("Jobs without a session:")
        rows = (
            (one["centre"], one["job_id"], one["name"], one["state"], second(one["since"], none="-"), one["rule"])
            for one in document["jobs"]
        )
        print_table(("centre", "job", "name", "state", "since", "what becomes of it"), rows)
    if document["sessions"]:
        click.echo("Sessions whose job their centre does not list:")
        heads = ("session", "person", "centre", "job", "since", "given up at", "why")
        print_table(heads, (forgotten(one) for one in document["sessions"]))


def forgotten(one: Json) -> tuple[str, ...]:
    return (
        one["id"],
        one["person"],
        one["centre"],
        one["job_id"],
        second(one["since"], none="-"),
        second(one["settles_at"], none="-"),
        one["why"],
    )


@click.command("write-off")
@click.argument("session")
@reading
def write_off(client: Client, session: str) -> Answer:
    """End SESSION (its id), whose centre lost all its data: nothing is charged."""
    document = client.call("POST", f"sessions/{quote(session, safe='')}/write-off")
    return Answer(
        document, lambda: click.echo(f"{document['id']} is {document['state']}: {plain(document['end_reason'])}")
    )
