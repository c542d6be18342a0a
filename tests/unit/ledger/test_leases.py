"""Tests that a lease never holds less than its run costs, and how far it reaches, whatever happens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scnet_hub.domain.jobs import JobRequest
from scnet_hub.domain.pricing import leases
from scnet_hub.domain.pricing.leases import LAG, Run
from scnet_hub.domain.pricing.rates import bill_of_run, held
from scnet_hub.domain.pricing.tariffs import CORE, GPU, MEMORY, Tariff, Version
from scnet_hub.units import Amount, credits

from .examples import examples
from .prices import HOUR, NOW, SECOND, tariffs

ZONE = "Asia/Shanghai"
PLAIN = Tariff(versions=(Version(prices={CORE: 1_000_000, GPU: 20_000_000, MEMORY: 0}),))
MINUTE = 60 * SECOND
MONTH = datetime(2026, 11, 30, 16, tzinfo=UTC)  # December in Shanghai


def run(tariff: Tariff = PLAIN, cores: int = 1, hours: float = 8, started_at: datetime | None = NOW) -> Run:
    request = JobRequest(person="ada", project="p", cores=cores, walltime=hours * HOUR)
    return Run(request=request, tariff=tariff, started_at=started_at)


def until(one: Run, at: datetime) -> Amount:
    return leases.cost(one, NOW, at, HOUR, ZONE)


@pytest.mark.parametrize(
    ("kind", "hours", "length", "lasts"),
    [("lab", 8, 1, 1), ("dask", 8, 1, 1), ("batch", 8, 1, 8), ("lab", 0.5, 1, 0.5), ("lab", 8, 0, 8)],
)
def test_only_what_somebody_sits_at_has_a_lease(kind: str, hours: float, length: float, lasts: float) -> None:
    assert leases.first_for(kind, hours * HOUR, length * HOUR) == lasts * HOUR
    assert (leases.until_first(NOW, kind, hours * HOUR, length * HOUR) is None) is (lasts == hours)


def test_it_reaches_a_length_ahead_and_no_further_than_the_walltime() -> None:
    assert leases.wish([run()], NOW + HOUR, HOUR) == leases.Wish(until=NOW + 2 * HOUR)
    assert leases.wish([run()], NOW + 7.5 * HOUR, HOUR) == leases.Wish(until=NOW + 8 * HOUR, whole=True)
    assert leases.wish([run()], NOW, timedelta()) == leases.Wish(until=NOW + 8 * HOUR, whole=True)


def test_one_that_waits_holds_a_first_lease_whenever_it_begins() -> None:
    waits = run(started_at=None)
    later = NOW + 20 * HOUR
    assert leases.wish([waits], later, HOUR) == leases.Wish(until=later + HOUR - LAG)
    assert until(waits, later) - credits(1) <= Amount(1)  # a micro-credit where a month may end within it


def test_a_copy_that_runs_counts_where_another_still_waits() -> None:
    assert leases.wish([run(started_at=None), run()], NOW + HOUR, HOUR) == leases.Wish(until=NOW + 2 * HOUR)


def test_in_all_it_holds_what_the_quote_said_at_most() -> None:
    assert until(run(), NOW + 2 * HOUR) == credits(2) + Amount(-(-1_000_000 * 120 // 3600))  # and the lag
    assert until(run(), NOW + 8 * HOUR) == credits(8)


def test_it_counts_what_cutting_a_run_at_the_end_of_a_month_adds() -> None:
    end = MONTH + 2 * SECOND
    cut, whole = (bill_of_run(PLAIN, held(1), MONTH - LAG, end, cuts=cuts).total for cuts in ([MONTH], []))
    assert leases.cost(run(started_at=MONTH), MONTH, end, HOUR, ZONE) == cut == whole + Amount(1)


def test_an_extension_that_is_too_much_is_shortened_to_whole_minutes_but_not_to_moments() -> None:
    def cost(at: datetime) -> Amount:
        return Amount((at - NOW) // SECOND)

    assert leases.longest(cost, NOW, NOW + HOUR, Amount(1859)) == NOW + 30 * MINUTE
    assert leases.longest(cost, NOW, NOW + HOUR, Amount(9999)) == NOW + HOUR
    assert leases.longest(cost, NOW, NOW + HOUR, Amount(299)) is None
    assert leases.longest(cost, NOW, NOW + 4 * MINUTE, Amount(9999)) is None


def test_it_is_stopped_before_what_it_holds_is_used_up_and_only_if_it_is_known_why() -> None:
    assert leases.stops_at(NOW, "") is leases.stops_at(None, "why") is None
    assert leases.stops_at(NOW, "why") == NOW - 2 * MINUTE


def test_why_not_says_what_there_is_and_what_it_needs() -> None:
    said = leases.why_not("Project p has", credits("0.03"), credits("0.4"), 30 * MINUTE)
    assert said == "Project p has 0.0300 credits left, and 30 min more of this session cost up to 0.40 credits."


# ---- for all tariffs

starts = st.integers(-2 * 86400, 12 * 86400).map(lambda seconds: NOW + seconds * SECOND)
spans = st.integers(60, 4 * 86400).map(lambda seconds: seconds * SECOND)
shares = st.floats(0, 1)


@settings(deadline=None, max_examples=examples(150))
@given(tariffs(), starts, spans, st.integers(1, 64), shares, shares, shares)
def test_no_run_that_ends_within_its_lease_costs_more_than_it_holds(
    tariff: Tariff, seen: datetime, walltime: timedelta, cores: int, late: float, leased: float, when: float
) -> None:
    one = Run(
        request=JobRequest(person="ada", project="p", cores=cores, walltime=walltime), tariff=tariff, started_at=seen
    )
    reach = seen + walltime * leased
    began = seen - LAG * late
    end = min(began + walltime, began + (reach - began) * when)
    cost = bill_of_run(tariff, held(cores), began, end, cuts=[MONTH]).total
    assert cost <= leases.cost(one, seen, reach, HOUR, ZONE)


@settings(deadline=None, max_examples=examples(60))
@given(
    tariffs(),
    starts,
    st.integers(60, 5 * 3600),
    st.lists(st.integers(1, 25 * 60), max_size=16),
    st.integers(0, 5 * 3600),
    shares,
)
def test_whatever_looks_come_when_at_every_moment_as_much_is_held_as_it_has_cost(
    tariff: Tariff, asked: datetime, walltime: int, pauses: list[int], waits: int, late: float
) -> None:
    """Looks come before half of a lease is over; the last of them may be the last for ever, and then it ends with its
    lease."""
    request = JobRequest(person="ada", project="p", cores=3, walltime=walltime * SECOND)
    began = asked + waits * SECOND
    seen = began + LAG * late
    holds = leases.cost(Run(request=request, tariff=tariff), asked, asked, HOUR, ZONE)
    leased = leases.until_first(asked, "lab", request.walltime, HOUR)
    now = asked
    for pause in (*pauses, None):
        pause = None if leased is None else pause
        ends = began + request.walltime if leased is None else min(leased, began + request.walltime)
        last = max(began, ends if pause is None else min(now + pause * SECOND, ends))
        if last > began and (pause is None or now + pause * SECOND > began):
            assert bill_of_run(tariff, held(3), began, last, cuts=[MONTH]).total <= holds
        if pause is None or leased is None:  # the second only for who checks types
            return
        now += pause * SECOND
        if leased <= leases.due_by(now, HOUR):
            one = Run(request=request, tariff=tariff, started_at=seen if seen <= now else None)
            wish = leases.wish([one], now, HOUR)
            holds = max(holds, leases.cost(one, now, wish.until, HOUR, ZONE))
            leased = None if wish.whole else wish.until
