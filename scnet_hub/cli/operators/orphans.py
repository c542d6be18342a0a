"""`scnet orphans` and `scnet write-off`: for operators, what the centres and the broker do not agree about."""

from __future__ import annotations

from urllib.parse import quote

import click

from ...client.rest import Client
from ..app import Answer, Json, plain, print_table, reading
from ..commands.sessions import moment


@click.command()
@reading
def orphans(client: Client) -> Answer:
    """Jobs that no session has, and sessions whose centre has no job of theirs."""
    document = client.listed("orphans", "jobs", "sessions")
    return Answer(document, lambda: show(document))


def show(document: Json) -> None:
    if not document["jobs"] and not document["sessions"]:
        click.echo("None: every job of ours is a session's, and every session's job is known to its centre.")
    if document["jobs"]:
        click.echo("Jobs without a session:")
        rows = ((one["centre"], one["job_id"], one["name"], one["state"], clock(one["since"]), one["rule"]) for one in document["jobs"])
        print_table(("centre", "job", "name", "state", "since", "what becomes of it"), rows)
    if document["sessions"]:
        click.echo("Sessions whose centre answers without their job:")
        heads = ("session", "person", "centre", "job", "since", "given up at", "why")
        print_table(heads, (forgotten(one) for one in document["sessions"]))


def forgotten(one: Json) -> tuple[str, ...]:
    return (one["id"], one["person"], one["centre"], one["job_id"], clock(one["since"]), clock(one["settles_at"]), one["why"])


def clock(text: str) -> str:
    at = moment(text)
    return f"{at:%d %b %H:%M:%S} UTC" if at else "-"


@click.command("write-off")
@click.argument("session")
@reading
def write_off(client: Client, session: str) -> Answer:
    """End SESSION (its id), whose centre lost all that it had of it: nothing is charged."""
    document = client.call("POST", f"sessions/{quote(session, safe='')}/write-off")
    return Answer(document, lambda: click.echo(f"{document['id']} is {document['state']}: {plain(document['end_reason'])}"))
