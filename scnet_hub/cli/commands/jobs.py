"""`scnet run` and `scnet jobs`: batch jobs, which are sessions of that kind, placed, charged and stopped like every
other session.

With `--wait` and `--follow` exit code 0 means that the job's own exit code was 0.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click

from ...client.batch_jobs import Job, cost, start
from ...client.rest import Client
from ...display.endings import outcome
from ...display.times import ago, read
from ...units import format_duration
from ..app import Answer, Json, plain, print_table, reading
from ..options import given, needs
from .logs import attend
from .sessions import note


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
        f"  scnet logs {job.id} --follow    scnet stop {job.id}",
    )
    return plain("\n".join(lines))


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
