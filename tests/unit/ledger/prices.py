"""Tariffs for tests: some written by hand, and arbitrary ones drawn by Hypothesis."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction

from hypothesis import strategies as st

from scnet_hub.domain.pricing.rates import Quantity
from scnet_hub.domain.pricing.tariffs import CORE, MEMORY, Sale, Tariff, Version, gpu_meter

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)  # a Monday: noon in Shanghai
HOUR, DAY, SECOND = timedelta(hours=1), timedelta(days=1), timedelta(seconds=1)
ZONES = (
    "UTC",
    "Asia/Shanghai",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Asia/Beirut",
    "Asia/Kathmandu",
)
NIGHTS = Sale(name="nights", opens=22 * 60, closes=6 * 60, off=500_000)

micros = st.integers(0, 50_000_000)
instants = st.integers(-40 * 86400, 200 * 86400).map(lambda seconds: NOW + seconds * SECOND)


MINIMA = (0, 0, 1, 250_000, 90_000_000)


def _version(number: int, since: datetime | None = None) -> Version:
    """Any version: one number that is taken apart, since drawing many takes most of a property's time."""
    parts = [number // 50_000_000**place % 50_000_000 for place in range(4)]
    prices = dict(zip((CORE, MEMORY, gpu_meter("a100"), gpu_meter("")), parts, strict=True))
    return Version(prices=prices, minimum=MINIMA[number % 5], since=since)


def _sale(opens: int, length: int, off: int, days: int, window: int) -> Sale:
    first = NOW.date() + (window % 90 - 30) * DAY if window % 3 else None
    return Sale(
        name="abc"[off % 3],
        opens=opens,
        closes=(opens + length) % 1440 or 1440,
        off=off,
        days=frozenset(day for day in range(7) if days >> day & 1),
        first=first,
        last=first + window // 90 * DAY if first and window % 2 else None,
    )


numbers = st.integers(0, 50_000_000**4 - 1)
sales = st.builds(
    _sale,
    st.integers(0, 1439),
    st.integers(1, 1439),
    st.integers(1, 10**6),
    st.integers(1, 127),
    st.integers(0, 90 * 60),
)


@st.composite
def tariffs(draw: st.DrawFn) -> Tariff:
    later = draw(st.dictionaries(instants, numbers, max_size=2))
    return Tariff(
        versions=(_version(draw(numbers)), *(_version(number, since) for since, number in later.items())),
        sales=tuple(draw(st.lists(sales, max_size=2))),
        zone=draw(st.sampled_from(ZONES)),
        place="Partition gpu of Alpha Centre",
    )


@st.composite
def amounts(draw: st.DrawFn) -> dict[str, Quantity]:
    """What a session holds: cores, GPUs of some model, memory."""
    held = {
        CORE: draw(st.integers(1, 512)),
        gpu_meter(draw(st.sampled_from(["", "a100", "h100"]))): draw(st.integers(0, 16)),
        MEMORY: Fraction(draw(st.integers(0, 2**44)), 2**30),
    }
    return {meter: amount for meter, amount in held.items() if amount}
