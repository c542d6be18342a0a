"""Tests that at every instant one price holds, by the centre's wall clock; that its changes are known; and that usage
without a price is never free."""

from bisect import bisect_right
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scnet_hub.domain.pricing.tariffs import (
    APP_RUN,
    CORE,
    GPU,
    MEMORY,
    NoPrice,
    Sale,
    Tariff,
    Version,
    rewritten,
    tariff_of,
)
from scnet_hub.domain.standard.centre import parse_centre
from scnet_hub.errors import SpecError

from .examples import examples
from .prices import DAY, HOUR, NIGHTS, NOW, SECOND, ZONES, instants, tariffs

PAGE = """
id = "alpha"
name = "Alpha Centre"
time_zone = "Asia/Shanghai"

[transport]
kind = "local"

[session]
python = "/usr/bin/python3"
directory = "/d"

[[partition]]
name = "gpu"
cores = 64
gpus = 4
gpu_model = "A100"
tariff = { core_hour = 1.2, gpu_hour = { a100 = 20, h100 = 40 }, gib_hour = 0.05, minimum = 0.1 }

[[partition.tariff_from]]
valid_from = 2027-01-01T00:00:00+08:00
core_hour = 1.5

[[partition.sale]]
name = "nights"
from = "22:00"
to = "06:00"
percent_off = 33.3333
"""
ONE_SECOND = 1_000_000


def tariff(*later: Version, sales: tuple[Sale, ...] = (), zone: str = "Asia/Shanghai") -> Tariff:
    return Tariff(versions=(Version(prices={CORE: 1_000_000}), *later), sales=sales, zone=zone)


def version(since: datetime | None, core: int = 2_000_000) -> Version:
    return Version(prices={CORE: core}, since=since)


def shanghai(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=ZoneInfo("Asia/Shanghai"))


def test_a_page_becomes_prices_in_micro_units() -> None:
    spec = parse_centre(PAGE, source="alpha.toml")
    rates = tariff_of(spec, spec.partition[0]).at(NOW)
    assert {meter: rates.price(meter) for meter in (CORE, MEMORY, f"{GPU}:h100", f"{GPU}:A100")} == {
        CORE: 1_200_000, MEMORY: 50_000, f"{GPU}:h100": 40_000_000, f"{GPU}:A100": 20_000_000,
    }  # fmt: skip
    assert (rates.minimum, rates.off, rates.version) == (100_000, 0, "prices until 2027-01-01 00:00+08:00")
    assert tariff_of(spec, spec.partition[0]).at(shanghai(23, 23)).off == 333_333


def test_a_gpu_whose_model_is_not_said_is_one_of_the_partition() -> None:
    spec = parse_centre(PAGE, source="alpha.toml")
    assert tariff_of(spec, spec.partition[0]).at(NOW).price(GPU) == 20_000_000


@pytest.mark.parametrize("meter", [f"{GPU}:v100", APP_RUN, "fpga-second"])
def test_what_has_no_price_is_an_error_that_names_it(meter: str) -> None:
    spec = parse_centre(PAGE, source="alpha.toml")
    with pytest.raises(NoPrice, match=f"Partition gpu of Alpha Centre has no price for {meter} ") as refused:
        tariff_of(spec, spec.partition[0]).at(NOW).price(meter)
    assert refused.value.code == "no-price" and refused.value.hint and isinstance(refused.value, SpecError)


def test_gpus_that_the_page_says_nothing_of_are_not_free() -> None:
    spec = parse_centre(PAGE.replace("gpu_hour = { a100 = 20, h100 = 40 }, ", ""), source="alpha.toml")
    with pytest.raises(NoPrice, match="gpu-second"):
        tariff_of(spec, spec.partition[0]).at(NOW).price(f"{GPU}:a100")


def test_a_version_holds_from_its_instant_until_the_next() -> None:
    prices = tariff(version(NOW + 2 * DAY, 3_000_000), version(NOW + DAY))
    at = [NOW - 9999 * DAY, NOW + DAY - SECOND, NOW + DAY, NOW + 2 * DAY - SECOND, NOW + 2 * DAY, NOW + 9999 * DAY]
    assert [prices.at(instant).price(CORE) // 10**6 for instant in at] == [1, 1, 2, 2, 3, 3]
    assert prices.cuts(NOW, NOW + 9 * DAY) == (NOW + DAY, NOW + 2 * DAY)
    assert prices.cuts(NOW + DAY, NOW + 2 * DAY) == ()


def test_a_gap_before_the_first_price_is_an_error_that_says_when() -> None:
    gap = Tariff(versions=(version(NOW),), zone="Asia/Shanghai", place="Partition gpu of Alpha Centre")
    with pytest.raises(NoPrice, match=r"Partition gpu of Alpha Centre has no price at 2026-11-23 11:59\+08:00"):
        gap.at(NOW - SECOND)
    assert gap.at(NOW).price(CORE) == 2_000_000
    assert gap.cuts(NOW - DAY, NOW + DAY) == (NOW,)


def test_two_versions_from_the_same_instant_are_refused() -> None:
    with pytest.raises(ValueError, match="two versions hold from 2026-11-23T12:00:00"):
        tariff(version(NOW), version(NOW.astimezone(ZoneInfo("Asia/Shanghai"))))
    with pytest.raises(ValueError, match="two versions hold from ever on"):
        tariff(version(None))


@pytest.mark.parametrize("price", [-1, 1.5, float("nan"), True])
def test_a_price_is_a_whole_number_from_zero_on(price: int) -> None:
    with pytest.raises(ValueError, match="whole micro-units"):
        Version(prices={CORE: price})
    with pytest.raises(ValueError, match="whole micro-units"):
        Version(prices={}, minimum=price)


def test_an_instant_of_a_version_has_a_time_zone() -> None:
    with pytest.raises(ValueError, match="has no time zone"):
        version(datetime(2027, 1, 1))  # noqa: DTZ001


def test_a_sale_goes_over_midnight_by_the_centres_clock() -> None:
    prices = tariff(sales=(NIGHTS,))
    hours = [(23, 21), (23, 22), (24, 0), (24, 5), (24, 6)]
    assert [prices.at(shanghai(*hour)).off for hour in hours] == [0, 500_000, 500_000, 500_000, 0]
    assert prices.at(shanghai(23, 22)).sale == 'sale "nights"'
    assert prices.cuts(shanghai(23, 12), shanghai(24, 12)) == (shanghai(23, 22), shanghai(24, 6))


def test_the_days_of_a_sale_are_those_on_which_it_begins() -> None:
    friday = Sale(
        name="friday night",
        opens=22 * 60,
        closes=6 * 60,
        off=1,
        days=frozenset({4}),
        last=date(2026, 11, 27),
    )
    prices = tariff(sales=(friday,))
    assert prices.cuts(shanghai(20, 0), shanghai(30, 0)) == (
        shanghai(20, 22),
        shanghai(21, 6),
        shanghai(27, 22),
        shanghai(28, 6),
    )


def test_a_whole_day_and_the_next_one_are_not_cut_in_between() -> None:
    weekend = Sale(name="weekend", opens=0, closes=24 * 60, off=1, days=frozenset({5, 6}))
    assert tariff(sales=(weekend,)).cuts(shanghai(25, 0), shanghai(30, 12)) == (shanghai(28, 0), shanghai(30, 0))


def test_sales_do_not_add_up_the_larger_one_counts() -> None:
    noon = Sale(name="noon", opens=12 * 60, closes=23 * 60, off=600_000)
    prices = tariff(sales=(NIGHTS, noon))
    assert [prices.at(shanghai(23, hour)).off for hour in (21, 22, 23)] == [600_000, 600_000, 500_000]
    assert prices.cuts(shanghai(23, 13), shanghai(24, 5)) == (shanghai(23, 23),)


def test_two_windows_of_one_sale_are_not_cut_where_they_meet() -> None:
    weekend = Sale(name="nights", opens=6 * 60, closes=22 * 60, off=NIGHTS.off, days=frozenset({5, 6}))
    assert tariff(sales=(NIGHTS, weekend)).cuts(shanghai(27, 12), shanghai(30, 12)) == (
        shanghai(27, 22),
        shanghai(30, 6),
    )


def test_clocks_that_are_set_forward_begin_a_sale_at_once() -> None:
    early = tariff(sales=(Sale(name="early", opens=2 * 60 + 30, closes=5 * 60, off=1),), zone="Europe/Berlin")
    jump = datetime(2027, 3, 28, 1, tzinfo=UTC)  # 02:00 became 03:00
    assert early.cuts(jump - HOUR, jump + 4 * HOUR) == (jump, jump + 2 * HOUR)


def test_clocks_that_are_set_back_hold_a_sale_twice() -> None:
    late = tariff(sales=(Sale(name="late", opens=2 * 60 + 30, closes=5 * 60, off=1),), zone="Europe/Berlin")
    jump = datetime(2027, 10, 31, 1, tzinfo=UTC)  # 03:00 became 02:00
    assert late.cuts(jump - 2 * HOUR, jump + 5 * HOUR) == (jump - HOUR / 2, jump, jump + HOUR / 2, jump + 3 * HOUR)


def test_a_page_that_changes_what_was_is_told_from_one_that_goes_on() -> None:
    old = tariff(sales=(NIGHTS,))
    since = NOW - 5 * DAY
    assert rewritten(old, tariff(version(NOW), sales=(NIGHTS,)), since, NOW) == ""
    priced = Tariff(versions=(Version(prices={CORE: 1_000_000, GPU: 5}),), sales=(NIGHTS,), zone=old.zone)
    assert rewritten(old, priced, since, NOW) == ""
    assert rewritten(priced, old, since, NOW).endswith("the price of gpu-second differs.")
    assert rewritten(old, tariff(version(NOW - DAY), sales=(NIGHTS,)), since, NOW) == (
        "This partition would have a different price at 2026-11-22 12:00+08:00, which is in the past: the price "
        "of core-second differs."
    )
    assert rewritten(old, tariff(), since, NOW).endswith(
        "at 2026-11-18 22:00+08:00, which is in the past: the sale differs."
    )
    dear = Tariff(versions=(Version(prices={CORE: 1_000_000}, minimum=1),), sales=(NIGHTS,), zone=old.zone)
    assert "the minimum differs" in rewritten(old, dear, since, NOW)


@settings(deadline=None, max_examples=examples(100))
@given(tariffs(), instants, st.integers(1, 4 * 86400), st.lists(st.integers(0, 4 * 86400 * ONE_SECOND), max_size=20))
def test_between_two_cuts_one_price_holds(prices: Tariff, start: datetime, length: int, offsets: list[int]) -> None:
    end = start + length * SECOND
    cuts = prices.cuts(start, end)
    edges = [start, *cuts, end]
    assert edges == sorted(set(edges))
    assert all(prices.at(cut) != prices.at(cut - timedelta(microseconds=1)) for cut in cuts)
    for offset in offsets:
        instant = start + timedelta(microseconds=offset)
        if instant < end:
            since = max(edge for edge in edges if edge <= instant)
            assert prices.at(instant) == prices.at(since)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(
    "day", [(2027, 2, 7), (2027, 3, 14), (2027, 3, 28), (2027, 4, 4), (2027, 10, 3), (2027, 10, 31), (2027, 11, 7)]
)
def test_every_minute_of_days_on_which_clocks_jump_has_the_price_of_its_segment(
    zone: str, day: tuple[int, int, int]
) -> None:
    around = Sale(name="around", opens=2 * 60 + 10, closes=2 * 60 + 40, off=1)
    prices = tariff(
        sales=(around, Sale(name="over", opens=60 + 50, closes=60 + 20, off=2, days=frozenset({6}))), zone=zone
    )
    start = datetime(*day, tzinfo=UTC) - DAY / 2
    edges = [start, *prices.cuts(start, start + 2 * DAY)]
    for minute in range(2 * 24 * 60):
        instant = start + timedelta(minutes=minute)
        assert prices.at(instant) == prices.at(edges[bisect_right(edges, instant) - 1])
