"""Tests that the cost of a place over time equals the charge of the same run, to the micro-unit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scnet_hub.domain.pricing.cost_curves import Course
from scnet_hub.domain.pricing.rates import bill_of_run, held
from scnet_hub.domain.pricing.tariffs import CORE, GPU, MEMORY, NoPrice, Sale, Tariff, Version
from scnet_hub.units import Amount

SINCE, UNTIL = datetime(2026, 3, 27, tzinfo=UTC), datetime(2026, 4, 3, tzinfo=UTC)
PRICES = {CORE: 1_234_567, GPU: 20_000_001, MEMORY: 333}
TARIFF = Tariff(
    versions=(
        Version(prices=PRICES, minimum=500_000, since=SINCE + timedelta(hours=5)),
        Version(prices={**PRICES, CORE: 777_777}, since=SINCE + timedelta(days=2, microseconds=1)),
    ),
    sales=(Sale(name="nights", opens=22 * 60, closes=6 * 60, off=333_333),),
    zone="Europe/Berlin",  # whose clock jumps within this week
)
AMOUNTS = held(3, 1, "a100", 5 * 10**9)
COURSE = Course(TARIFF, AMOUNTS, SINCE, UNTIL)
instants = st.datetimes(SINCE.replace(tzinfo=None), UNTIL.replace(tzinfo=None), timezones=st.just(UTC))


@given(start=instants, end=instants)
def test_a_run_costs_what_its_bill_says(start: datetime, end: datetime) -> None:
    start, end = sorted((start, end))
    try:
        expected = bill_of_run(TARIFF, AMOUNTS, start, end).total
    except NoPrice:
        expected = Amount(0)
    assert COURSE.micros(start, end) == expected.micros


@pytest.mark.parametrize("place", range(len(COURSE.edges)))
def test_a_run_between_two_changes_of_price_costs_what_its_bill_says(place: int) -> None:
    for end in COURSE.edges[place:]:
        try:
            expected = bill_of_run(TARIFF, AMOUNTS, COURSE.edges[place], end).total
        except NoPrice:
            expected = Amount(0)
        assert COURSE.micros(COURSE.edges[place], end) == expected.micros


def test_before_the_first_price_nothing_is_estimated() -> None:
    assert not COURSE.micros(SINCE, UNTIL) and not COURSE.hourly(SINCE)
    assert COURSE.hourly(UNTIL) > 0
