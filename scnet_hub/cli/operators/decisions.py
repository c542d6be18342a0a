"""`scnet decisions`: for operators, the predictions of placement and their outcome."""

from __future__ import annotations

from datetime import UTC

import click

from ...client.rest import Client
from ...display.times import second, waited
from ..app import Answer, Json, plain, print_table, reading
from ..values import Number

HEADS = (
    "starts", "further copies", "as promised", "hit rate", "median: expected", "started", "ready", "95 % ready within",
    "not ready yet",
)  # fmt: skip


@click.command()
@click.option("--days", type=Number(0, 366, min_open=True), default=1, show_default=True, help="The last days to show.")
@reading
def decisions(client: Client, days: float) -> Answer:
    """Show predicted and actual starts, by centre; why starts were refused; the last decisions."""
    document = client.call("GET", "decisions", params={"days": days})
    return Answer(document, lambda: print_decisions(document))


def print_decisions(document: Json) -> None:
    if not document["decisions"]:
        click.echo("No decision was made in that time.")
        return
    print_table(
        ("centre", *HEADS),
        [(one["centre"], *figures(one)) for one in document["by_centre"]],
        numbers=range(1, len(HEADS) + 1),
    )
    print_table(
        ("expected to start", *HEADS),
        [(one["chance"], *figures(one)) for one in document["by_chance"]],
        numbers=range(1, len(HEADS) + 1),
    )
    for one in document["refused"]:
        click.echo(plain(f"refused ({one['code']}) {times(one['count'])}, the last time: {one['example']}"))
    for one in document["refused_by"]:
        click.echo(plain(f"no place at {one['centre']}, {times(one['count'])}: {one['reason']}"))
    heads = ("decision", "at (UTC)", "person", "kind", "session", "outcome", "where", "expected", "ready after", "note")
    print_table(heads, [line(one) for one in document["decisions"]], numbers=(8,))


def figures(one: Json) -> tuple[str, ...]:
    rate = "-" if one["hit_rate"] is None else f"{one['hit_rate']:.0%}"
    kept = f"{one['kept']} of {one['promised']}" if one["promised"] else "-"
    medians = (
        waited(one[name], none="-")
        for name in ("expected_median_s", "started_median_s", "ready_median_s", "ready_p95_s")
    )
    return (str(one["count"]), str(one["further"]), kept, rate, *medians, str(one["waiting"]))


def line(one: Json) -> tuple[str, ...]:
    where = f"{one['centre']}/{one['partition']}" if one["centre"] else "-"
    refused = one["refused"]
    note = f"{refused['why']}" if refused else "" if one["cause"] == "first" else one["cause"]
    late = "late" if one["as_promised"] is False else ""
    return (
        one["id"],
        second(one["decided_at"], UTC, none="-"),
        one["person"],
        one["kind"] or "-",
        one["session"] or "-",
        f"refused: {refused['code']}" if refused else "placed",
        where,
        one["chance"] or "-",
        waited(one["ready_s"], none="-"),
        ", ".join(words for words in (note, late) if words),
    )


def times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
