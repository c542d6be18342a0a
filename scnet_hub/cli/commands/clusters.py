"""`scnet clusters`: a person's Dask clusters, whichever notebook or program made them."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from ...client.clusters import listing as found
from ...client.rest import Client
from ...display.times import ago
from ...units import format_number
from ..app import Answer, Json, plain, print_table, reading
from ..groups import listing


@listing()
def clusters(ctx: click.Context, as_json: bool) -> None:
    """Work with your Dask clusters. Without a command: list those with live jobs."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_clusters, as_json=as_json)


@clusters.command("list")
@reading
def list_clusters(client: Client) -> Answer:
    """List your Dask clusters with live jobs."""
    rows = found.list_clusters(client)
    return Answer({"clusters": rows}, lambda: print_clusters(rows))


def print_clusters(rows: list[Json]) -> None:
    if not rows:
        click.echo("No Dask clusters.")
        return
    heads = ("cluster", "centres", "running", "waiting", "cores", "GPUs", "since", "credits so far")
    print_table(heads, (cluster_row(one) for one in rows), numbers=(2, 3, 4, 5, 7))


def cluster_row(one: Json) -> tuple[str, ...]:
    counts = (str(one[name]) for name in ("running", "waiting", "cores", "gpus"))
    return (
        one["name"], ", ".join(one["centres"]) or "-", *counts, ago(one["since"], datetime.now(UTC), never="-"),
        format_number(one["in_flight"]),
    )  # fmt: skip


@clusters.command("stop")
@click.argument("cluster")
@reading
def stop_cluster(client: Client, cluster: str) -> Answer:
    """Stop every job of CLUSTER (its name). Each job is charged for the time that it used."""
    stopped = found.stop(cluster, client)
    said = plain(f"Stopping {len(stopped)} jobs of {cluster}.")
    return Answer({"sessions": stopped}, lambda: click.echo(said))
