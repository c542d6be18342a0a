"""`scnet balance`: what your projects may still spend, and how much at once."""

from __future__ import annotations

import click

from ..client import Client
from ..units import format_number
from .answers import Answer, Json, print_table, reading

AMOUNTS = ("granted", "settled", "in_flight", "held", "available")


@click.command()
@reading
def balance(client: Client) -> Answer:
    """Your projects' credits and quotas: granted = settled + in flight (estimated) + held + available."""
    document = client.call("GET", "balance")
    return Answer(document, lambda: show_balance(document["projects"]))


def show_balance(projects: list[Json]) -> None:
    if not projects:
        click.echo("You are in no project. Ask the operators to add you to one.")
        return
    heads = ("project", "title", "granted", "settled", "in flight", "held", "available", "sessions", "cores", "GPUs")
    print_table(heads, (balance_row(project) for project in projects), numbers=range(2, 10))


def balance_row(project: Json) -> tuple[str, ...]:
    amounts = (format_number(project[name]) for name in AMOUNTS)
    uses = (use(project["quota"][name]) for name in ("sessions", "cores", "gpus"))
    return (project["id"], project["title"] or "-", *amounts, *uses)


def use(quota: Json) -> str:
    """ "2 of 8": in use at once, of the ceiling."""
    return f"{quota['used']} of {quota['limit']}"
