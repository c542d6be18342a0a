"""A quote's max is never exceeded, its three numbers are in order, and they are made as charges are."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scnet_hub.domain.jobs import JobRequest
from scnet_hub.domain.pricing.quotes import quote
from scnet_hub.domain.pricing.rates import bill_of_run, held
from scnet_hub.domain.pricing.tariffs import CORE, GPU, MEMORY, NoPrice, Sale, Tariff, Version, gpu_meter
from scnet_hub.units import Amount, credits

from .examples import examples
from .prices import DAY, HOUR, NIGHTS, NOW, SECOND, ZONES, tariffs

PLAIN = Tariff(versions=(Version(prices={CORE: 1_200_000, GPU: 20_000_000, MEMORY: 0}),))
DEARER = Tariff(versions=(*PLAIN.versions, Version(prices={CORE: 3_000_000}, since=NOW + 3 * DAY)))
MINUTE = 60 * SECOND


def request(
    cores: int = 4, walltime: timedelta = 2 * HOUR, gpus: int = 0, gpu_model: str = "", memory: int = 0
) -> JobRequest:
    return JobRequest(
        person="ada", project="p", cores=cores, walltime=walltime, gpus=gpus, gpu_model=gpu_model, memory=memory
    )  # fmt: skip


def test_three_numbers_at_one_price() -> None:
    made = quote(request(), PLAIN, NOW, starts_by=NOW, history=[0.25] * 10)
    assert (made.low, made.expected, made.max, made.rounding) == (
        credits("0.08"),
        credits("2.4"),
        credits("9.6"),
        Amount(0),
    )


def test_it_reads_like_this() -> None:
    made = replace(quote(request(), PLAIN, NOW, starts_by=NOW, history=[0.25] * 10), available=credits(100))
    assert str(made) == (
        "At most 9.60 credits: the whole walltime, (4 cores x 1.2) credits/h x 7200 s = 9.6 credits.\n"
        "Probably 2.40 credits: the last 10 such sessions used 25 % of their walltime, 30 min of 2 h.\n"
        "At least 0.0800 credits: it ends after 1 min; free if it never starts.\n"
        "Of 100.00 credits available, 90.40 credits are left while it runs, and probably 97.60 credits when it ends."
    )


def test_too_little_says_how_much_is_missing() -> None:
    made = replace(quote(request(), PLAIN, NOW, starts_by=NOW), available=credits(8))
    assert made.after_max == credits("-1.6") and made.after == credits("3.2")
    assert made.sentences()[-1] == "8.00 credits are available: 1.60 credits too few."
    assert quote(request(), PLAIN, NOW).after_max is None


@pytest.mark.parametrize("history", [[], [0.1] * 4])
def test_few_sessions_say_nothing_so_it_is_half(history: list[float]) -> None:
    made = quote(request(), PLAIN, NOW, history=history)
    assert (
        made.expected == credits("4.8") and made.why["expected"] == "no history of such sessions, so half, 1 h of 2 h"
    )


def test_a_share_over_one_is_a_schedulers_grace() -> None:
    assert quote(request(), PLAIN, NOW, starts_by=NOW, history=[1.02] * 5).expected == credits("9.6")


@pytest.mark.parametrize("share", [-0.1, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="a share of a walltime"):
        quote(request(), PLAIN, NOW, history=[0.5, share])


def test_a_quote_needs_a_walltime() -> None:
    with pytest.raises(ValueError, match="needs a walltime"):
        quote(request(walltime=timedelta()), PLAIN, NOW)


def test_max_counts_with_a_start_after_the_price_rises() -> None:
    made = quote(request(), DEARER, NOW)
    assert (
        made.max - made.rounding == credits(24)
        and "highest prices that may apply if it starts by 2026-12-07 04:00+00:00" in made.why["max"]
    )
    assert made.expected == credits("4.8")
    assert quote(request(), DEARER, NOW, starts_at=NOW + 4 * DAY).expected == credits(12)
    assert quote(request(), DEARER, NOW, starts_by=NOW + 2 * DAY).max == credits("9.6")


def test_max_does_not_count_on_a_sale() -> None:
    nights = Tariff(versions=PLAIN.versions, sales=(NIGHTS,), zone="Asia/Shanghai")
    made = quote(request(), nights, NOW, starts_at=NOW + 11 * HOUR, starts_by=NOW + 12 * HOUR)
    assert made.max - made.rounding == credits("9.6")
    assert made.expected == credits("2.4")
    assert made.low == credits("0.04")


def test_a_minimum_is_in_all_three() -> None:
    dear = Tariff(versions=(Version(prices={CORE: 1_000_000}, minimum=5_000_000),))
    made = quote(request(cores=1), dear, NOW, starts_by=NOW)
    assert made.low == made.expected == made.max == credits(5)
    assert made.why["low"] == "the minimum of a session" and "minimum of a session 5 credits" in made.why["max"]


def test_memory_that_the_centre_gives_is_in_it() -> None:
    tariff = Tariff(versions=(Version(prices={CORE: 0, MEMORY: 1_000_000}),))
    assert quote(request(memory=2**30), tariff, NOW, starts_by=NOW).max == credits(2)
    assert quote(request(memory=2**31), tariff, NOW, starts_by=NOW).max == credits(4)


def test_no_price_no_quote() -> None:
    with pytest.raises(NoPrice, match="gpu-second:h100"):
        quote(
            request(gpus=1, gpu_model="h100"), Tariff(versions=(Version(prices={CORE: 1, gpu_meter("a100"): 1}),)), NOW
        )


def test_a_month_that_may_end_is_in_the_rounding() -> None:
    assert quote(request(), PLAIN, NOW, starts_by=NOW + DAY).rounding == Amount(0)
    assert quote(request(), PLAIN, NOW, starts_by=NOW + 8 * DAY).rounding == Amount(1)
    assert quote(request(walltime=40 * DAY), PLAIN, NOW, starts_by=NOW).rounding == Amount(2)


# ---- for all tariffs


requests = st.builds(
    request,
    cores=st.integers(1, 512),
    walltime=st.integers(1, 3 * 86400).map(lambda seconds: seconds * SECOND),
    gpus=st.integers(0, 16),
    gpu_model=st.sampled_from(["", "a100", "h100"]),
    memory=st.integers(0, 2**44),
)
shares = st.floats(0, 1.05)


@settings(deadline=None, max_examples=examples(100))
@given(
    tariffs(),
    requests,
    st.integers(0, 3 * 86400),
    st.integers(0, 3 * 86400),
    shares,
    shares,
    st.sampled_from(ZONES),
    st.lists(shares, max_size=9),
)
def test_no_run_within_the_walltime_costs_more_than_max(
    tariff: Tariff,
    wanted: JobRequest,
    waits: int,
    patience: int,
    when: float,
    share: float,
    zone: str,
    history: list[float],
) -> None:
    starts_at, limit = NOW + waits * SECOND, NOW + max(patience, waits) * SECOND
    made = quote(wanted, tariff, NOW, starts_at=starts_at, starts_by=limit, history=history)
    assert made.low <= made.expected <= made.max
    start = NOW + (limit - NOW) * min(when, 1)
    end = start + wanted.walltime * min(share, 1)
    amounts = held(wanted.cores, wanted.gpus, wanted.gpu_model, wanted.memory)
    run = bill_of_run(tariff, amounts, start, end, cuts=_months(zone))
    assert run.total <= made.max
    assert end - start < MINUTE or run.total >= made.low


def _months(zone: str) -> list[datetime]:
    return [
        datetime(2026 + month // 12, month % 12 + 1, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)
        for month in range(10, 16)
    ]


@settings(deadline=None, max_examples=examples(100))
@given(requests, st.integers(0, 50_000_000), st.integers(0, 50_000_000), st.sampled_from([0, 1, 7_000_000]))
def test_the_quote_is_the_charge_if_all_that_was_asked_is_used_at_one_price(  # PRI-02
    wanted: JobRequest, core: int, gpu: int, minimum: int
) -> None:
    tariff = Tariff(
        versions=(Version(prices={CORE: core, GPU: gpu, MEMORY: 3}, minimum=minimum),),
        sales=(Sale(name="all", opens=0, closes=1440, off=10),),
    )
    run = bill_of_run(
        tariff, held(wanted.cores, wanted.gpus, wanted.gpu_model, wanted.memory), NOW, NOW + wanted.walltime
    )
    made = quote(wanted, tariff, NOW, starts_by=NOW)
    assert made.max == run.total and made.rounding == Amount(0)
