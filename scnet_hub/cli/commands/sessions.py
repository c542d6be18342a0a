"""`scnet sessions` and `scnet stop`: a person's own sessions, whatever their kind and wherever they run."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from ...client.batch_jobs import cost
from ...client.rest import Client
from ...display import centre_status, endings
from ...display.times import read
from ...errors import BrokerError, ScnetError
from ...units import format_duration
from ..app import Answer, Json, plain, print_table, reading


@click.command()
@click.option("--all", "ended_too", is_flag=True, help="Also show the last 50 ended sessions.")
@reading
def sessions(client: Client, ended_too: bool) -> Answer:
    """Show your sessions: where they run, since when, how much they cost."""
    document = client.session_list(all=ended_too)
    return Answer(document, lambda: print_sessions(document["sessions"], document.get("as_of")))


def print_sessions(found: list[Json], as_of: str | None) -> None:
    if not found:
        click.echo("No sessions.")
        return
    now = read(as_of) or datetime.now(UTC)
    heads = ("session", "kind", "name", "centre", "partition", "state", "cores", "GPUs", "time left", "credits", "note")
    print_table(heads, (session_row(session, now) for session in found), numbers=(6, 7, 8, 9))
    for session in found:
        for line in centre_status.warned(session):
            click.echo(f"{session['id']}: {plain(line)}")


def session_row(session: Json, now: datetime) -> tuple[str, ...]:
    end = read(session["expires_at"])
    return (
        session["id"],
        session["kind"],
        endings.called(session),
        session["centre"] or "-",
        session["partition"] or "-",
        endings.outcome(session),
        str(session["cores"]),
        str(session["gpus"]),
        format_duration(end - now) if session["live"] and end and end > now else "-",
        cost(session),
        note(session),
    )


def note(session: Json) -> str:
    """Returns a note for the person: why the session ended, that its centre can't be asked, or what the session waits
    for."""
    if not session["live"]:
        return endings.cause(session)
    if session["unknown_since"]:
        return f"centre has not answered since {session['unknown_since']}: {session['unknown_why'] or 'no answer'}"
    place = f"place {session['place_in_queue']} in the queue" if session["place_in_queue"] else ""
    return ", ".join(words for words in (place, session["reason"] or "") if words)


@click.command()
@click.argument("sessions", nargs=-1, required=True, metavar="SESSION...")
@reading
def stop(client: Client, sessions: tuple[str, ...]) -> Answer:
    """Stop each SESSION (its id), jobs too. A session is charged for the time that it used."""
    done: list[Json] = []
    refused: list[Json] = []
    for session in dict.fromkeys(sessions):
        try:
            done.append(client.stop(session))
        except BrokerError:
            raise
        except ScnetError as error:
            refused.append({"id": session, **error.problem()})
    for problem in refused:
        click.echo(plain(f"{problem['title']} {problem['hint']}".strip()), err=True)
    return Answer({"sessions": done, "refused": refused}, lambda: print_stopped(done), ok=not refused)


def print_stopped(done: list[Json]) -> None:
    for one in done:
        click.echo(stopped(one))


def stopped(session: Json) -> str:
    if not session["live"]:
        return f"{session['id']} has ended: {plain(endings.cause(session) or 'as asked')}"
    where = (
        f"; {plain(session['centre_name'] or session['centre'])} will be asked until it confirms"
        if session["centre"]
        else ""
    )
    return f"{session['id']} is {session['state']}{where}."
