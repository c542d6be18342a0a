"""`scnet balance`: what your projects may still spend, how fast they do, and how much at once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import click

from ...client.rest import Client
from ...display.centre_status import mine, pace
from ...units import format_duration, format_number
from ..app import Answer, Json, plain, print_table, reading

AMOUNTS = ("granted", "settled", "in_flight", "held", "available")


@click.command()
@reading
def balance(client: Client) -> Answer:
    """Your projects' credits and quotas: granted = settled + in flight (estimated) + held + available."""
    document = client.listed("balances", "balances")
    return Answer(document, lambda: show_balance(document["balances"], document["as_of"]))


def show_balance(projects: list[Json], as_of: str) -> None:
    if not projects:
        click.echo("You are in no project. Ask the operators to add you to one.")
        return
    heads = ("project", "title", "granted", "settled", "in flight", "held", "available", "sessions", "cores", "GPUs")
    print_table(heads, (balance_row(project) for project in projects), numbers=range(2, 10))
    for project in projects:
        click.echo(plain(f"{project['id']}: {pace(project)} {ages(project, as_of)}"))
        for words in (*filter(None, [mine(project)]), *project["ending"], *ceilings(project.get("my_quota", ()))):
            click.echo(plain(f"{project['id']}: {words}"))


def balance_row(project: Json) -> tuple[str, ...]:
    amounts = (format_number(project[name]) for name in AMOUNTS)
    uses = (use(project["quota"][name]) for name in ("sessions", "cores", "gpus"))
    return (project["id"], project["title"] or "-", *amounts, *uses)


def use(quota: Json) -> str:
    """ "2 of 8": in use at once, of the ceiling."""
    return f"{quota['used']} of {quota['limit']}"


def ceilings(mine: Iterable[Json]) -> list[str]:
    """What one person uses of the ceilings that each has, a line for each who sets them."""
    by: dict[str, list[str]] = {}
    for one in mine:
        by.setdefault(one["whose"], []).append(f"{use(one)} {one['what'].replace('gpus', 'GPUs')}")
    return [f"{whose} has a ceiling: you use {', '.join(uses)}." for whose, uses in by.items()]


def ages(project: Json, as_of: str) -> str:
    """How old what is settled and what is in flight is."""
    settled, looked = project["as_of"]["settled"], project["as_of"]["in_flight"]
    newest = f"The newest charge is of {ago(settled, as_of)}" if settled else "Nothing was charged yet"
    late = f"; {project['waiting']} ended without a usage record yet" if project["waiting"] else ""
    return f"{newest}{late}; in flight as of {ago(looked, as_of)}."


def ago(at: str, now: str) -> str:
    words = format_duration(datetime.fromisoformat(now) - datetime.fromisoformat(at))
    return words if words == "now" else f"{words} ago"
