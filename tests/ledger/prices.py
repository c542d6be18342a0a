"""Tariffs for tests: the ones that are told in words, and any that Hypothesis thinks of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction

from hypothesis import strategies as st

from scnet_hub.ledger.pricing import Quantity
from scnet_hub.ledger.tariffs import CORE, MEMORY, Sale, Tariff, Version, gpu_meter

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)  # a Monday: noon in Shanghai
HOUR, DAY, SECOND = timedelta(hours=1), timedelta(days=1), timedelta(seconds=1)
ZONES = ("UTC", "Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kathmandu")
NIGHTS = Sale(name="nights", opens=22 * 60, closes=6 * 60, off=500_000)

micros = st.integers(0, 50_000_000)
instants = st.integers(-40 * 86400, 200 * 86400).map(lambda seconds: NOW + seconds * SECOND)


@st.composite
def versions(draw: st.DrawFn, since: datetime | None = None) -> Version:
    prices = {CORE: draw(micros), MEMORY: draw(micros), gpu_meter("a100"): draw(micros), gpu_meter(""): draw(micros)}
    return Version(prices=prices, minimum=draw(st.sampled_from([0, 0, 1, 250_000, 90_000_000])), since=since)


@st.composite
def sales(draw: st.DrawFn) -> Sale:
    opens = draw(st.integers(0, 1439))
    closes = draw(st.integers(0, 1440).filter(lambda minute: minute != opens))
    days = draw(st.frozensets(st.integers(0, 6), min_size=1))
    first = draw(st.none() | st.dates(NOW.date() - 30 * DAY, NOW.date() + 60 * DAY))
    last = first + draw(st.integers(0, 60)) * DAY if first and draw(st.booleans()) else None
    return Sale(
        name=draw(st.sampled_from("abc")), opens=opens, closes=closes, off=draw(st.integers(1, 10**6)), days=days, first=first, last=last
    )


@st.composite
def tariffs(draw: st.DrawFn) -> Tariff:
    since = draw(st.lists(instants, max_size=3, unique=True))
    return Tariff(
        versions=(draw(versions()), *(draw(versions(at)) for at in since)),
        sales=tuple(draw(st.lists(sales(), max_size=3))),
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
