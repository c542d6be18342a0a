"""`scnet tariffs`: the price of each partition for an hour, now and later."""

from __future__ import annotations

import click

from ...client.rest import Client
from ...units import format_number
from ..app import Answer, Json, plain, print_table, reading

HEADS = ("centre", "partition", "core-hour", "GPU-hour", "GiB-hour", "minimum", "now")


@click.command()
@click.argument("centre", default="")
@reading
def tariffs(client: Client, centre: str) -> Answer:
    """Show the prices of all centres, or of CENTRE: credits for an hour of a core, a GPU, a GiB of memory; later
    prices, and sales."""
    document = client.listed("tariffs", "tariffs", params={"centre": centre})
    return Answer(document, lambda: print_tariffs(document["tariffs"]))


def print_tariffs(found: list[Json]) -> None:
    print_table(HEADS, [row(one) for one in found], numbers=range(2, 6))
    for one in found:
        where = f"{one['centre']}/{one['partition']}"
        for later in one["versions"]:
            if later["since"]:
                click.echo(plain(f"{where}: from {later['since'][:16]}Z {words(later)}."))
        for sale in one["sales"]:
            click.echo(plain(f"{where}: {sale_words(sale, one['zone'])}."))
        for remark in one["remarks"]:
            click.echo(plain(f"{where}: {remark}"), err=True)
    for rounding in dict.fromkeys(one["rounding"] for one in found):
        click.echo(plain(rounding))


def row(one: Json) -> tuple[str, ...]:
    """Returns a row with the list prices; the last column shows the sale."""
    held, prices = one["now"], one["now"]["prices"]
    gpus = gpu_words(prices) or ("none" if one["gpus"] else "-")
    sale = f"{held['percent_off']:g} % off: {held['sale']}" if held["sale"] else "-"
    memory, least = price(prices.get("gib-second")), price(held["minimum"])
    return one["centre"], one["partition"], price(prices.get("core-second")), gpus, memory, least, sale


def words(version: Json) -> str:
    prices = version["prices"]
    gpus = f", {gpu_words(prices)} a GPU" if gpu_words(prices) else ""
    memory = f", {price(prices['gib-second'])} a GiB" if prices.get("gib-second") else ""
    return (
        f"{price(prices.get('core-second'))} a core{gpus}{memory} and hour, at least {price(version['minimum'])} a "
        "session"
    )


def gpu_words(prices: Json) -> str:
    """Returns "20.00", or by model: "a100 20.00, others 5.00"."""
    priced = [(*meter.partition(":")[::2], value) for meter, value in prices.items() if value is not None]
    found = {model: value for kind, model, value in priced if kind == "gpu-second"}
    if set(found) == {""}:
        return price(found[""])
    return ", ".join(f"{model or 'others'} {price(value)}" for model, value in found.items())


def sale_words(sale: Json, zone: str) -> str:
    days = "every day" if len(sale["days"]) == 7 else ", ".join(sale["days"])
    since, until = (
        f" {word} {day}" if day else "" for word, day in (("since", sale["first_day"]), ("until", sale["last_day"]))
    )
    return (
        f'{sale["percent_off"]:g} % off ("{sale["name"]}") {days} from {sale["from"]} to {sale["to"]} {zone} '
        f"time{since}{until}"
    )


def price(value: float | None) -> str:
    return "-" if value is None else format_number(value)
