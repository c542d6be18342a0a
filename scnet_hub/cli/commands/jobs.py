"""`scnet run`, `jobs`, `logs` and `cancel`: batch jobs, as sessions of that kind, placed and charged like every other.

What a job prints goes to stdout when it is followed, what is said about it to stderr. Exit code 0 says of `--wait` and
`--follow` that the job's own was 0.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import click

from ...client.batch_jobs import Job, cost, first_line, start
from ...client.rest import Client
from ...display.endings import TAIL, outcome
from ...display.times import ago, read
from ...errors import BrokerError, ScnetError
from ...units import format_duration
from ..app import Answer, Json, plain, print_table, reading
from ..options import given, needs
from .sessions import note, stopped

LAST_LINES = 8


def environment(ctx: click.Context, option: click.Parameter, words: Sequence[str]) -> dict[str, str]:
    """K=V as it stands; K alone takes the value from here, so that a secret need not stand in a command."""
    pairs = {}
    for word in words:
        name, given_here, value = word.partition("=")
        if not given_here and name not in os.environ:
            raise click.BadParameter(f"{name!r} is not set here; write NAME=VALUE.", ctx, option)
        pairs[name] = value if given_here else os.environ[name]
    return pairs


@click.command(context_settings={"allow_interspersed_args": False})
@click.argument("argv", nargs=-1, required=True, metavar="[--] PROGRAM [WORD]...", type=click.UNPROCESSED)
@needs
@click.option("--name", default="", help="One live job of a name (a new name).")
@click.option("--env", multiple=True, metavar="NAME[=VALUE]", callback=environment, help="Set for the job; repeatable.")
@click.option("--file", "files", multiple=True, metavar="FILE", help="Sent along, 128 KiB in all; repeatable.")
@click.option("--no-files", is_flag=True, help="Don't send the program, though it is a file here.")
@click.option("--wait", "how", flag_value="wait", default="", help="Until it has ended; exit code 1 if it failed.")
@click.option("--follow", "how", flag_value="follow", help="The same, and show its output.")
@reading
def run(
    client: Client, argv: tuple[str, ...], name: str, env: dict[str, str], files: tuple[str, ...], no_files: bool, how: str, **asked: Any
) -> Answer:
    """Run PROGRAM as a batch job where it fits best: scnet run --cores 4 -- python train.py"""
    if no_files and files:
        raise click.UsageError("--no-files and --file contradict each other.")
    job = start(client, argv, files=None if no_files else files, env=env, name=name, **given(asked))
    about(job, files)
    if not how:
        return Answer(job.session, lambda: click.echo(begun(job)))
    click.echo(begun(job), err=True)
    attend(job, how)
    return Answer(job.session, lambda: None, ok=bool(job.ok))


def about(job: Job, asked: Sequence[str]) -> None:
    """What a person should know of the request that they did not write themselves."""
    if not job.new:
        click.echo(f"A job of that name is live already: nothing was started. Here is {job.id}.", err=True)
        return
    if by_itself := [name for name in job.sent if name not in {os.path.normpath(path) for path in asked}]:
        click.echo(f"Sent along: {plain(', '.join(by_itself))}.", err=True)
    for word in job.left:
        click.echo(f"Not sent along: {plain(word)}, though there is such a file here. With --file {plain(word)} it would be.", err=True)


def begun(job: Job) -> str:
    """Id, place, and the reason with the expected start and the most that it may cost."""
    one = job.session
    lines = (
        f"{job.id}  {job.name}  {outcome(one)} at {one['centre_name'] or one['centre']}, partition {one['partition']}",
        f"  {job.why}",
        f"  scnet logs {job.id} --follow    scnet cancel {job.id}",
    )
    return plain("\n".join(lines))


def attend(job: Job, how: str) -> None:
    """Stays with a job until it has ended, and says on stderr how. Ctrl-C leaves it running."""
    with leaving(job):
        if how == "follow":
            job.follow(write, note=lambda words: remark(job, words))
        else:
            job.wait()
    ended(job, with_log=how == "wait")


def remark(job: Job, words: str) -> None:
    """What the broker says of a job on its way; of its end `ended` speaks."""
    if job.session["live"] or first_line(words) != first_line(str(job.session["end_reason"])):
        click.echo(plain(first_line(words)), err=True)


def write(text: str) -> None:
    """A job's output: on stdout, unless that is kept for a JSON document."""
    click.echo(plain(text), nl=False, err=bool(click.get_current_context().params["as_json"]))


@contextmanager
def leaving(job: Job) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        click.echo(f"\n{job.id} goes on: `scnet logs {job.id} --follow` comes back to it, `scnet cancel {job.id}` stops it.", err=True)
        sys.exit(1)


def ended(job: Job, *, with_log: bool) -> None:
    """How it ended; of one that failed and whose output nobody saw, the last lines too."""
    reason = job.reason if with_log else first_line(job.reason)
    if with_log and not job.ok and "\n" not in reason and (last := last_lines(job)):
        reason = f"{reason}{TAIL}{last}"
    click.echo(f"{job.id} {outcome(job.session)}: {plain(reason)}", err=True)


def last_lines(job: Job) -> str:
    try:
        return "\n".join(job.log().strip().splitlines()[-LAST_LINES:])
    except ScnetError:
        return ""


@click.command()
@click.option("--all", "ended_too", is_flag=True, help="Ended ones among your last 50 sessions too.")
@reading
def jobs(client: Client, ended_too: bool) -> Answer:
    """Your batch jobs: where they run, for how long still, what they cost."""
    document = client.session_list(all=ended_too)
    found = [one for one in document["sessions"] if one["kind"] == "batch"]
    return Answer({**document, "sessions": found}, lambda: show_jobs(found, document.get("as_of")))


def show_jobs(found: list[Json], as_of: str | None) -> None:
    if not found:
        click.echo("No jobs. `scnet run -- python train.py` starts one.")
        return
    now = read(as_of) or datetime.now(UTC)
    heads = ("id", "name", "state", "centre", "cores", "GPUs", "started", "time left", "credits", "note")
    print_table(heads, (job_row(one, now) for one in found), numbers=(4, 5, 6, 7, 8))


def job_row(one: Json, now: datetime) -> tuple[str, ...]:
    started, end = read(one["started_at"]), read(one["expires_at"])
    return (
        one["id"],
        one["name"],
        outcome(one),
        one["centre"] or "-",
        str(one["cores"]),
        str(one["gpus"]),
        ago(started, now, never="-"),
        format_duration(end - now) if one["live"] and end and end > now else "-",
        cost(one),
        note(one),
    )


@click.command()
@click.argument("job")
@click.option("--follow", "-f", is_flag=True, help="Until it has ended; exit code 1 if it failed.")
@reading
def logs(client: Client, job: str, follow: bool) -> Answer:
    """The end of the output of JOB (its id), or all that is still to come."""
    if follow:
        followed = Job(client, client.session(job))
        attend(followed, "follow")
        return Answer(followed.session, lambda: None, ok=bool(followed.ok))
    text = client.log(job)
    if not text:
        click.echo(f"No output yet: {job} is {outcome(client.session(job))}.", err=True)
    return Answer({"id": job, "log": text}, lambda: click.echo(plain(text), nl=bool(text) and not text.endswith("\n")))


@click.command()
@click.argument("jobs", nargs=-1, required=True, metavar="JOB...")
@reading
def cancel(client: Client, jobs: tuple[str, ...]) -> Answer:
    """Stop each JOB (its id). It is charged for what it used."""
    done: list[Json] = []
    refused: list[Json] = []
    for job in dict.fromkeys(jobs):
        try:
            done.append(client.stop(job))
        except BrokerError:
            raise
        except ScnetError as error:
            refused.append({"id": job, **error.problem()})
    for problem in refused:
        click.echo(plain(f"{problem['title']} {problem['hint']}".strip()), err=True)
    return Answer({"sessions": done, "refused": refused}, lambda: show_cancelled(done), ok=not refused)


def show_cancelled(done: list[Json]) -> None:
    for one in done:
        click.echo(stopped(one))
