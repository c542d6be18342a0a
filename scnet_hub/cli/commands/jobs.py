"""`scnet run`, `jobs`, `logs` and `cancel`: batch jobs, which are sessions of that kind, placed and charged like every
other session.

With `--follow` a job's output goes to stdout, and messages about the job go to stderr. With `--wait` and `--follow`
exit code 0 means that the job's own exit code was 0.
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
    """Returns NAME=VALUE as given; NAME alone takes the value from this environment, so that a secret need not stand in
    a command."""
    pairs = {}
    for word in words:
        name, given_here, value = word.partition("=")
        if not given_here and name not in os.environ:
            raise click.BadParameter(f"{name!r} is not set in this environment; write NAME=VALUE.", ctx, option)
        pairs[name] = value if given_here else os.environ[name]
    return pairs


@click.command(context_settings={"allow_interspersed_args": False})
@click.argument("argv", nargs=-1, required=True, metavar="[--] PROGRAM [WORD]...", type=click.UNPROCESSED)
@needs
@click.option("--name", default="", help="The job's name; only one live job may have it. Default: a new name.")
@click.option(
    "--env", multiple=True, metavar="NAME[=VALUE]", callback=environment, help="Set a variable for the job; repeatable."
)
@click.option(
    "--file", "files", multiple=True, metavar="FILE", help="Send this file along, 128 KiB in all; repeatable."
)
@click.option("--no-files", is_flag=True, help="Don't send the program, even if it is a file here.")
@click.option(
    "--wait", "how", flag_value="wait", default="", help="Wait until the job has ended; exit code 1 if it failed."
)
@click.option("--follow", "how", flag_value="follow", help="The same, and show the job's output.")
@reading
def run(
    client: Client,
    argv: tuple[str, ...],
    name: str,
    env: dict[str, str],
    files: tuple[str, ...],
    no_files: bool,
    how: str,
    **asked: Any,
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
    """Prints the facts of the request that the person did not state."""
    if not job.new:
        click.echo(f"A job of that name is live already: {job.id}. Nothing was started.", err=True)
        return
    if by_itself := [name for name in job.sent if name not in {os.path.normpath(path) for path in asked}]:
        click.echo(f"Sent along: {plain(', '.join(by_itself))}.", err=True)
    for word in job.left:
        click.echo(
            f"Not sent along: {plain(word)}, although a file of that name is here. To send it, add --file "
            f"{plain(word)}.",
            err=True,
        )


def begun(job: Job) -> str:
    """Returns id, place, and the reason with the expected start and the maximum cost."""
    one = job.session
    lines = (
        f"{job.id}  {job.name}  {outcome(one)} at {one['centre_name'] or one['centre']}, partition {one['partition']}",
        f"  {job.why}",
        f"  scnet logs {job.id} --follow    scnet cancel {job.id}",
    )
    return plain("\n".join(lines))


def attend(job: Job, how: str) -> None:
    """Stays with a job until it has ended, and reports the end on stderr. Ctrl-C leaves the job running."""
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
    """Prints a job's output: on stdout, unless stdout is reserved for a JSON document."""
    click.echo(plain(text), nl=False, err=bool(click.get_current_context().params["as_json"]))


@contextmanager
def leaving(job: Job) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        click.echo(
            f"\n{job.id} continues: `scnet logs {job.id} --follow` shows it again, `scnet cancel {job.id}` stops it.",
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


@click.command()
@click.option("--all", "ended_too", is_flag=True, help="Also show ended jobs among your last 50 sessions.")
@reading
def jobs(client: Client, ended_too: bool) -> Answer:
    """Show your batch jobs: where they run, how much time is left, how much they cost."""
    document = client.session_list(all=ended_too)
    found = [one for one in document["sessions"] if one["kind"] == "batch"]
    return Answer({**document, "sessions": found}, lambda: print_jobs(found, document.get("as_of")))


def print_jobs(found: list[Json], as_of: str | None) -> None:
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
@click.option("--follow", "-f", is_flag=True, help="Show output until the job has ended; exit code 1 if it failed.")
@reading
def logs(client: Client, job: str, follow: bool) -> Answer:
    """Show the end of the output of JOB (its id), or with --follow all further output."""
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
    """Stop each JOB (its id). A job is charged for the time that it used."""
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
    return Answer({"sessions": done, "refused": refused}, lambda: print_stopped(done), ok=not refused)


def print_stopped(done: list[Json]) -> None:
    for one in done:
        click.echo(stopped(one))
