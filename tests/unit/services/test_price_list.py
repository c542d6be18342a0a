"""Tests the list of prices: the page's prices, the prices in force now, and the text for a person."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx

from scnet_hub.cli.commands.tariffs import row, words
from scnet_hub.domain.standard.centre import parse_centre
from scnet_hub.services.reporting import price_list
from tests.federation.broker.door import app as app
from tests.federation.broker.door import by
from tests.federation.broker.door import door as door
from tests.federation.world import World
from tests.unit.cli.federation import Broker, run

PAGE = """
id = "alpha"
name = "Alpha"
transport = { kind = "local" }
session = { python = "/usr/bin/python3", directory = "/s" }
time_zone = "Asia/Shanghai"
[[partition]]
name = "cpu"
cores = 8
tariff = { core_hour = 1.5, gib_hour = 0.1, minimum = 0.02 }
tariff_from = [{ valid_from = 2027-01-01T00:00:00+08:00, core_hour = 2 }]
sale = [{ name = "nights", from = "22:00", to = "06:00", percent_off = 50, days = ["mon", "tue"] }]
[[partition]]
name = "dcu"
cores = 8
gpus = 4
gpu_model = "Z100"
tariff = { gpu_hour = { z100 = 20, other = 5 } }
[[partition]]
name = "new"
cores = 8
gpus = 4
[[partition]]
name = "bare"
cores = 8
tariff = { gpu_hour = 0 }
"""
NIGHT = datetime(2026, 11, 23, 15, tzinfo=UTC)  # Monday, 23:00 in Shanghai
SPEC = parse_centre(PAGE, source="x")


def test_a_sale_counts_while_it_holds_by_the_centres_clock() -> None:
    night, day = (price_list.of(SPEC, at)[0] for at in (NIGHT, NIGHT.replace(hour=9)))
    assert (night["now"]["percent_off"], night["now"]["sale"], night["changes_at"]) == (
        50,
        'sale "nights"',
        "2026-11-23T22:00:00.000Z",
    )
    assert (night["now"]["prices"]["core-second"], night["now"]["paid"]["core-second"], night["now"]["minimum"]) == (
        1.5,
        0.75,
        0.02,
    )
    assert (day["now"]["sale"], day["now"]["paid"]["core-second"], day["changes_at"]) == (
        "",
        1.5,
        "2026-11-23T14:00:00.000Z",
    )
    assert [(one["since"], one["prices"]["core-second"]) for one in day["versions"]] == [
        (None, 1.5),
        ("2026-12-31T16:00:00.000Z", 2),
    ]
    assert day["sales"][0] | {"name": ""} == {
        "name": "", "days": ["mon", "tue"], "from": "22:00", "to": "06:00", "percent_off": 50, "first_day": None,
        "last_day": None,
    }  # fmt: skip


def test_gpus_without_a_price_have_none_in_the_list() -> None:
    cpu, dcu, new, _ = price_list.of(SPEC, NIGHT)
    assert (
        dcu["now"]["prices"] == {"core-second": 1, "gib-second": 0, "gpu-second:z100": 20, "gpu-second": 5}
        and not dcu["remarks"]
    )
    assert (
        not any(meter.startswith("gpu") for meter in new["now"]["prices"])
        and len(new["remarks"]) == 1
        and not cpu["remarks"]
    )


def test_a_partition_without_gpus_has_no_price_for_them_whatever_its_page_says() -> None:
    for one in (price_list.of(SPEC, NIGHT)[number] for number in (0, 3)):
        shown = (one["now"]["prices"], one["now"]["paid"], *(version["prices"] for version in one["versions"]))
        assert all(prices["gpu-second"] is None for prices in shown)
        assert row(one)[3] == "-" and not any("GPU" in words(version) for version in one["versions"])


def test_people_read_prices_later_prices_sales_and_how_it_is_rounded() -> None:
    done = run("tariffs", "alpha", broker=Broker(GET_tariffs={"as_of": "", "tariffs": price_list.of(SPEC, NIGHT)}))
    for said in (
        "1.50", "z100 20.00, others 5.00", '50 % off: sale "nights"',
        "alpha/cpu: from 2026-12-31T16:00Z 2.00 a core, 0.10 a GiB and hour, at least 0.0200 a session.",
        'alpha/cpu: 50 % off ("nights") mon, tue from 22:00 to 06:00 Asia/Shanghai time.', "Each segment is rounded up",
    ):  # fmt: skip
        assert said in done.stdout, done.stdout
    assert "no gpu_hour" in done.stderr


async def test_anybody_who_is_logged_in_may_ask_for_all_prices_or_one_centres(
    world: World, door: httpx.AsyncClient
) -> None:
    found = (await door.get("tariffs", headers=by("eve"))).json()["tariffs"]
    assert [one["centre"] for one in found] == ["north", "south"] and found[0]["now"]["prices"]["core-second"] == 1
    assert [one["centre"] for one in (await door.get("tariffs?centre=south", headers=by("eve"))).json()["tariffs"]] == [
        "south"
    ]
    missing = await door.get("tariffs?centre=west", headers=by("eve"))
    assert (missing.status_code, missing.json()["code"]) == (404, "unknown-centre")
