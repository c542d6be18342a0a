"""`scnet centres` and `scnet place`: the resources of the members, and where a request would go now, with every
reason. The commands that join a centre are in `enrolment/cli.py`.
"""

from __future__ import annotations

from typing import Any

import click

from ...client.rest import Client
from ...display import centre_status
from ...display.times import age
from ...units import format_number
from ..app import Answer, Json, plain, print_table, reading
from ..groups import Group, Later, listing
from ..options import given, needs

LATER = {
    name: Later("scnet_hub.enrolment.cli", function, words)
    for name, function, words in (
        ("add", "add", "On the hub's machine: add a centre's page (centre.toml)."),
        ("check", "check", "On the hub's machine: check every hop to a centre and say what to fix."),
        ("deploy", "deploy", "On the hub's machine: install the session environment at a centre."),
        ("pages", "list_pages", "On the hub's machine: list the centres whose pages are here."),
        ("remove", "remove", "On the hub's machine: remove a centre's page, if no session lives there."),
        ("schema", "schema", "Print the JSON Schema of a centre's page, for editors."),
    )
}


@listing(cls=Group, later=LATER)
def centres(ctx: click.Context, as_json: bool) -> None:
    """See the member centres; on the hub's machine, join a centre to the federation. Without a command: list them."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_centres, as_json=as_json)


@centres.command("list")
@reading
def list_centres(client: Client) -> Answer:
    """List the member centres: state, free resources, queue, price, age of the facts."""
    document = client.listed("centres", "centres")
    return Answer(document, lambda: print_centres(document["centres"]))


def print_centres(found: list[Json]) -> None:
    heads = (
        "centre",
        "name",
        "state",
        "cores free",
        "GPUs free",
        "running",
        "queued",
        "core-hour",
        "GPU-hour",
        "facts",
    )
    print_table(heads, (centre_row(centre) for centre in found), numbers=(3, 4, 5, 6, 7, 8))
    for centre in found:
        for line in centre_status.told(centre):
            click.echo(f"{centre['id']}: {plain(line)}")
        if why := centre_status.why(centre):
            click.echo(f"{centre['id']}: {plain(why)}", err=True)


def centre_row(centre: Json) -> tuple[str, ...]:
    return (
        centre["id"],
        centre["name"],
        "; ".join(filter(None, (centre["state"], centre_status.trouble(centre)))),
        of(centre["cores_free"], centre["cores"]),
        of(centre["gpus_free"], centre["gpus"]),
        str(centre["running_jobs"]),
        str(centre["queued_jobs"]),
        prices([part["core_hour"] for part in centre["partitions"]]),
        prices([part["gpu_hour"] for part in centre["partitions"] if part["gpus"]]),
        age(centre["age_s"], never="none yet"),
    )


@click.command()
@needs
@click.option(
    "--explain", metavar="ID", help="Instead: explain why that session is where it is, or why that start was refused."
)
@click.option("--replay", metavar="ID", help="Instead: make that decision again, from the facts of that time...")
@click.option("--policy", metavar="NAME", help="... by another policy.")
@reading
def place(client: Client, explain: str | None, replay: str | None, policy: str | None, **asked: Any) -> Answer:
    """Show where a session would run now, when it would start and how much it would cost. Starts nothing."""
    if policy is not None and replay is None:
        raise click.UsageError("--policy needs --replay.")
    if sum((explain is not None, replay is not None, bool(given(asked)))) > 1:
        raise click.UsageError("--explain and --replay allow no other options: they show a past decision.")
    if explain is not None:
        return told(client.explain(explain))
    if replay is not None:
        return told(client.replay(replay, policy=policy or ""))
    document = client.place(**given(asked))
    return Answer(document, lambda: print_placement(document), ok=bool(document["best"]))


def told(document: Json) -> Answer:
    return Answer(document, lambda: click.echo(plain("\n".join(document["words"]))))


def print_placement(placement: Json) -> None:
    click.echo(plain(placement["reason"]) + "\n")
    if placement["ranked"]:
        heads = ("centre", "partition", "start", "cores free", "cost", "an hour", "facts")
        print_table(heads, (offer_row(offer) for offer in placement["ranked"]), numbers=(3, 4, 5))
    for refusal in placement["refusals"]:
        click.echo(f"not {plain(refusal['centre'])}/{plain(refusal['partition'])}: {plain(refusal['reason'])}")


def offer_row(offer: Json) -> tuple[str, ...]:
    return (
        offer["centre"],
        offer["partition"],
        offer["expected_start"],
        of(offer["cores_free"], offer["cores"]),
        format_number(offer["cost"]),
        format_number(offer["cost_per_hour"]),
        age(offer["age_s"], never="none yet"),
    )


def of(part: int, whole: int) -> str:
    """Returns "12/16"; "-" if the total is 0."""
    return f"{part}/{whole}" if whole else "-"


def prices(values: list[float]) -> str:
    """Returns one price, or the lowest to the highest price; "-" for none. In credits."""
    low, high = (min(values), max(values)) if values else (None, None)
    if low is None or high is None:
        return "-"
    return format_number(low) if low == high else f"{format_number(low)} to {format_number(high)}"
