"""`scnet balances`: how much your projects may still spend, how fast they spend it, and the quotas."""

from __future__ import annotations

from collections.abc import Iterable

import click

from ...client.rest import Client
from ...display.centre_status import mine, pace
from ...display.times import ago
from ...units import format_number
from ..app import Answer, Json, plain, print_table, reading

AMOUNTS = ("granted", "settled", "in_flight", "held", "available")


@click.command()
@reading
def balances(client: Client) -> Answer:
    """Show your projects' credits and quotas: granted = settled + in flight (estimated) + held + available."""
    document = client.listed("balances", "balances")
    return Answer(document, lambda: print_balances(document["balances"], document["as_of"]))


def print_balances(projects: list[Json], as_of: str) -> None:
    if not projects:
        click.echo("You are not a member of a project. Ask the operators to add you to a project.")
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
    """Returns "2 of 8": in use at once, of the ceiling."""
    return f"{quota['used']} of {quota['limit']}"


def ceilings(mine: Iterable[Json]) -> list[str]:
    """Returns one person's use of the ceilings that apply to each person, a line for each body that sets them."""
    by: dict[str, list[str]] = {}
    for one in mine:
        by.setdefault(one["whose"], []).append(f"{use(one)} {one['what'].replace('gpus', 'GPUs')}")
    return [f"{whose} has a ceiling: you use {', '.join(uses)}." for whose, uses in by.items()]


def ages(project: Json, as_of: str) -> str:
    """Returns how old the settled credits and the credits in flight are."""
    settled, looked = project["as_of"]["settled"], project["as_of"]["in_flight"]
    newest = f"Newest charge: {ago(settled, as_of, never='never')}" if settled else "Nothing has been charged yet"
    late = f"; {project['waiting']} ended without a usage record yet" if project["waiting"] else ""
    return f"{newest}{late}; in flight as of {ago(looked, as_of, never='never')}."
