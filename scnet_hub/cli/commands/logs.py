"""`scnet logs`: a session's output, at once or as it comes, and the session's own log.

With `--follow` the output goes to stdout, and messages about the session go to stderr; exit code 0 means that its
program ended with exit code 0.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from ...client.batch_jobs import Job, first_line
from ...client.rest import Client
from ...display.endings import TAIL, outcome
from ...display.times import second
from ...errors import ScnetError
from ..app import Answer, Json, plain, reading

LAST_LINES = 8


@click.command()
@click.argument("session")
@click.option("--follow", "-f", is_flag=True, help="Show output until the session has ended; exit code 1 if it failed.")
@click.option("--events", is_flag=True, help="Instead: what happened to the session, with times.")
@reading
def logs(client: Client, session: str, follow: bool, events: bool) -> Answer:
    """Show the end of the output of SESSION (its id), or with --follow all further output."""
    if follow and events:
        raise click.UsageError("--follow and --events contradict each other.")
    if follow:
        followed = Job(client, client.session(session))
        attend(followed, "follow")
        return Answer(followed.session, lambda: None, ok=bool(followed.ok))
    return story(client, session) if events else output(client, session)


def output(client: Client, session: str) -> Answer:
    text = client.log(session)
    if not text:
        click.echo(f"No output yet: {session} is {outcome(client.session(session))}.", err=True)
    ended = bool(text) and not text.endswith("\n")
    return Answer({"id": session, "log": text}, lambda: click.echo(plain(text), nl=ended))


def story(client: Client, session: str) -> Answer:
    happened = client.session(session)["events"]
    return Answer({"id": session, "events": happened}, lambda: print_events(happened))


def print_events(happened: list[Json]) -> None:
    for one in happened:
        click.echo(f"{second(one['at'], none='-')}  {plain(one['message'])}")


def attend(job: Job, how: str) -> None:
    """Stays with a session until it has ended, and reports the end on stderr. Ctrl-C leaves it running."""
    with leaving(job):
        if how == "follow":
            job.follow(write, note=lambda words: remark(job, words))
        else:
            job.wait()
    ended(job, with_log=how == "wait")


def remark(job: Job, words: str) -> None:
    """Prints the broker's messages on the way; `ended` reports the end."""
    if job.session["live"] or first_line(words) != first_line(str(job.session["end_reason"])):
        click.echo(plain(first_line(words)), err=True)


def write(text: str) -> None:
    """Prints output: on stdout, unless stdout is reserved for a JSON document."""
    click.echo(plain(text), nl=False, err=bool(click.get_current_context().params["as_json"]))


@contextmanager
def leaving(job: Job) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        click.echo(
            f"\n{job.id} continues: `scnet logs {job.id} --follow` shows it again, `scnet stop {job.id}` stops it.",
            err=True,
        )
        sys.exit(1)


def ended(job: Job, *, with_log: bool) -> None:
    """Prints how the job ended; for a failed job whose output was not shown, the last lines too."""
    reason = job.reason if with_log else first_line(job.reason)
    if with_log and not job.ok and "\n" not in reason and (last := last_lines(job)):
        reason = f"{reason}{TAIL}{last}"
    click.echo(f"{job.id} {outcome(job.session)}: {plain(reason)}", err=True)


def last_lines(job: Job) -> str:
    try:
        return "\n".join(job.log().strip().splitlines()[-LAST_LINES:])
    except ScnetError:
        return ""
