"""Tests that a charge is exact, rounded up once a segment, at least the session's minimum, and can be recalculated from
its printed formula."""

import re
import tomllib
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scnet_hub.domain.pricing import rates as pricing
from scnet_hub.domain.pricing.rates import Quantity, bill, bill_of_run, exact, held, segment_cost, used
from scnet_hub.domain.pricing.tariffs import (
    APP_RUN,
    CORE,
    GPU,
    MEMORY,
    SEAT_HOUR,
    STORAGE,
    NoPrice,
    Rates,
    Tariff,
    Version,
    tariff_of,
)
from scnet_hub.domain.standard.centre import CentreSpec
from scnet_hub.units import Amount, credits

from .examples import examples
from .prices import DAY, HOUR, NIGHTS, NOW, SECOND, amounts, instants, micros, tariffs

PRICES = {CORE: 1_200_000, GPU: 20_000_000, MEMORY: 50_000, APP_RUN: 500_000, SEAT_HOUR: 100_000, STORAGE: 7}
RATES = Rates(prices=PRICES)
PLAIN = Tariff(versions=(Version(prices=PRICES),))
DOC = Path(__file__).parents[3] / "docs/explanation/prices.md"


# ---- by hand


def by_hand(formula: str) -> Amount:
    """What a person gets who does a printed formula again: nothing but the text is used."""
    total = sum(_segment(part) for part in formula.split("; ") if not part.startswith(("together", "minimum")))
    minimum = re.search(r"minimum of a session ([\d.]+) ", formula)
    return Amount(max(total, _micros(minimum[1])) if minimum else total)


def _segment(text: str) -> int:
    expression = text.partition(" = ")[0]
    value = Fraction(0)
    for terms, seconds, percent in re.findall(
        r"\(([^()]+)\) credits(?:/h x ([\d./]+) s)?(?: x ([\d.]+) %)?", expression
    ):
        each = sum(Fraction(term.split(" ")[0]) * Fraction(term.rpartition(" x ")[2]) for term in terms.split(" + "))
        value += each * (Fraction(seconds) / 3600 if seconds else 1) * Fraction(percent or 100) / 100
    return -(-value * 10**6 // 1)


def _micros(number: str) -> int:
    return int(Fraction(number) * 10**6)


@pytest.mark.parametrize(
    ("quantities", "rates", "duration", "formula"),
    [
        (
            held(4, 1, "a100"),
            RATES,
            750,
            "(4 cores x 1.2 + 1 GPU a100 x 20) credits/h x 750 s = 5.166667 credits, rounded up",
        ),
        (
            held(1, 2, memory=3 * 2**29),
            RATES,
            3600,
            "(1 core x 1.2 + 2 GPUs x 20 + 1.5 GiB x 0.05) credits/h x 3600 s = 41.275 credits",
        ),
        (
            held(3),
            Rates(prices=PRICES, off=250_000, sale='sale "nights"', version="prices from 2027-01-01 00:00+08:00"),
            60,
            '(3 cores x 1.2) credits/h x 60 s x 75 % (sale "nights") = 0.045 credits (prices from 2027-01-01 '
            "00:00+08:00)",
        ),
    ],
)
def test_the_formula_reads_like_this(
    quantities: dict[str, Quantity], rates: Rates, duration: int, formula: str
) -> None:
    time = timedelta(seconds=duration)
    cost = segment_cost(used(quantities, time), rates, time)
    assert cost.formula == formula
    assert by_hand(formula) == cost.amount


def test_units_are_beside_hours_and_no_sale_takes_from_them() -> None:
    cost = segment_cost(
        {CORE: 3000, APP_RUN: 2, SEAT_HOUR: 1}, Rates(prices=PRICES, off=500_000, sale='sale "nights"'), 750 * SECOND
    )
    assert cost.formula == (
        '(4 cores x 1.2) credits/h x 750 s x 50 % (sale "nights") + (2 app runs x 0.5 + 1 seat-hour x 0.1) '
        "credits = 1.6 credits"
    )
    assert by_hand(cost.formula) == cost.amount == credits("1.6")


def test_quantities_alone_make_a_formula_too() -> None:
    cost = segment_cost({CORE: 3001, MEMORY: Fraction(1, 3)}, RATES)
    assert (
        cost.formula
        == "(3001 core-seconds x 1.2 + 1/3 GiB-seconds x 0.05) credits/h x 1 s = 1.000338 credits, rounded up"
    )
    assert by_hand(cost.formula) == cost.amount


def test_nothing_used_costs_nothing() -> None:
    assert segment_cost({CORE: 0, "unheard-of": 0}, RATES).formula == "nothing used = 0 credits"


@pytest.mark.parametrize("quantity", [-1, float("nan"), 1.5, float("inf"), True, Fraction(-1, 2)])
def test_a_quantity_that_is_none_is_refused(quantity: Quantity) -> None:
    with pytest.raises(ValueError, match=r"core-second: .* is not a valid quantity"):
        segment_cost({CORE: quantity}, RATES)


def test_what_has_no_price_is_not_charged_at_zero() -> None:
    with pytest.raises(NoPrice, match="gpu-second:h100"):
        segment_cost({CORE: 1, f"{GPU}:h100": 1}, Rates(prices={CORE: 1}))


def test_another_book_prints_its_own_unit() -> None:
    cost = segment_cost({CORE: 3600}, Rates(prices={CORE: 1_500_000}, unit="CNY"))
    assert (cost.amount, cost.formula) == (Amount(1_500_000, "CNY"), "(3600 core-seconds x 1.5) CNY/h x 1 s = 1.5 CNY")


# ---- the minimum is the session's


def test_the_minimum_is_asked_once_and_comes_with_the_last_segment() -> None:
    one = segment_cost({CORE: 3600}, RATES)
    for count, top_up in ((1, "3.8"), (2, "2.6"), (4, "0.2"), (5, "0")):
        made = bill([one] * count, credits(5))
        assert made.top_up == credits(top_up)
        assert made.total == max(credits(5), Amount(count * one.amount.micros))
        assert by_hand(made.formula) == made.total
    assert bill([one] * 4, credits(5)).formula.endswith(
        "minimum of a session 5 credits, so 0.2 credits more; together 5 credits"
    )


def test_a_session_that_never_ran_has_no_minimum() -> None:
    assert bill([], credits(5)).total == Amount(0)
    assert bill_of_run(PLAIN, held(1), NOW, NOW - SECOND).total == Amount(0)


def test_a_second_that_ran_costs_the_minimum() -> None:
    tariff = Tariff(versions=(Version(prices=PRICES, minimum=250_000),))
    made = bill_of_run(tariff, held(1), NOW, NOW + SECOND)
    assert made.total == credits("0.25") and made.costs[0].amount == Amount(334)


def test_a_run_that_ended_within_the_second_costs_the_minimum_too() -> None:
    made = bill_of_run(Tariff(versions=(Version(prices=PRICES, minimum=250_000),)), held(1), NOW, NOW)
    assert (
        made.formula
        == "nothing used = 0 credits; minimum of a session 0.25 credits, so 0.25 credits more; together 0.25 credits"
    )
    assert made.total == by_hand(made.formula) == credits("0.25")


# ---- a run over several prices


def test_a_run_over_a_sale_and_a_new_price_is_cut_at_both() -> None:
    tariff = Tariff(
        versions=(Version(prices={CORE: 1_000_000}), Version(prices={CORE: 2_000_000}, since=NOW + 12 * HOUR)),
        sales=(NIGHTS,),
        zone="Asia/Shanghai",
    )
    # 21:00 to 07:00; the new price from midnight on
    made = bill_of_run(tariff, {CORE: 1}, NOW + 9 * HOUR, NOW + 19 * HOUR)
    assert [cost.amount for cost in made.costs] == [credits(1), credits(1), credits(6), credits(2)]
    assert (
        made.formula.endswith("; together 10 credits") and made.formula.count("prices from 2026-11-24 00:00+08:00") == 2
    )
    assert by_hand(made.formula) == made.total


def test_a_cut_at_the_end_of_a_month_rounds_each_part_up() -> None:
    third = Tariff(versions=(Version(prices={CORE: 1}),))
    assert bill_of_run(third, {CORE: 1}, NOW, NOW + HOUR).total == Amount(1)
    assert bill_of_run(
        third, {CORE: 1}, NOW, NOW + HOUR, cuts=[NOW + HOUR / 2, NOW - HOUR, NOW + HOUR]
    ).total == Amount(2)


@settings(deadline=None, max_examples=examples(150))
@given(tariffs(), amounts(), instants, st.integers(0, 3 * 86400 * 10**6))
def test_every_charge_can_be_done_again_from_its_formula(
    tariff: Tariff, taken: dict[str, Quantity], start: datetime, length: int
) -> None:
    made = bill_of_run(tariff, taken, start, start + timedelta(microseconds=length))
    assert by_hand(made.formula) == made.total
    assert made.total.micros >= 0


@settings(deadline=None, max_examples=examples(150))
@given(tariffs(), amounts(), instants, st.integers(1, 3 * 86400), micros, st.integers(0, 10**7))
def test_a_later_price_changes_no_earlier_segment(  # I11
    tariff: Tariff, taken: dict[str, Quantity], start: datetime, length: int, price: int, later: int
) -> None:
    end = start + length * SECOND
    since = end + later * SECOND
    if any(version.since == since for version in tariff.versions):
        return
    new = Version(prices={**tariff.versions[0].prices, CORE: price}, since=since)
    changed = Tariff(versions=(*tariff.versions, new), sales=tariff.sales, zone=tariff.zone)
    before, after = bill_of_run(tariff, taken, start, end), bill_of_run(changed, taken, start, end)
    assert [cost.amount for cost in after.costs] == [cost.amount for cost in before.costs]
    assert after.total == before.total


@settings(deadline=None, max_examples=examples(150))
@given(tariffs(), amounts(), instants, st.integers(1, 86400), st.lists(st.integers(1, 86400), max_size=5))
def test_cutting_a_run_costs_less_than_a_micro_unit_for_each_cut(
    tariff: Tariff, taken: dict[str, Quantity], start: datetime, length: int, offsets: list[int]
) -> None:
    cuts = sorted({start + offset * SECOND for offset in offsets if offset < length})
    whole = bill_of_run(tariff, taken, start, start + length * SECOND)
    parts = bill_of_run(tariff, taken, start, start + length * SECOND, cuts)
    assert 0 <= (parts.total - whole.total).micros <= len(cuts)


@settings(deadline=None, max_examples=examples(100))
@given(st.integers(0, 500), st.integers(0, 16), st.integers(0, 10**6), micros, micros)
def test_it_is_what_two_plain_prices_make(cores: int, gpus: int, time: int, core: int, gpu: int) -> None:
    cost = segment_cost(used(held(cores, gpus), time * SECOND), Rates(prices={CORE: core, GPU: gpu}), time * SECOND)
    assert cost.amount == pricing.cost(Amount(core * cores + gpu * gpus), time * SECOND)


def test_amounts_print_all_their_digits() -> None:
    assert [exact(Amount(micros)) for micros in (0, 1, 2_583_334, 12_000_000)] == [
        "0 credits",
        "0.000001 credits",
        "2.583334 credits",
        "12 credits",
    ]


# ---- the example of the page


def test_the_worked_example_of_the_page_is_true() -> None:
    page = DOC.read_text()
    (written,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    spec = CentreSpec.model_validate(
        {
            "id": "alpha",
            "name": "Alpha Centre",
            "transport": {"kind": "local"},
            "session": {"python": "/p", "directory": "/d"},
        }
        | tomllib.loads(written)
    )
    tariff = tariff_of(spec, spec.partition[0])
    start, end = (datetime.fromisoformat(text) for text in re.findall(r"`(2\d{3}-\S+:\d\d\+08:00)`", page)[:2])
    made = bill_of_run(tariff, held(4, 1, "a100", 16 * 2**30), start, end)
    printed = re.findall(r"```text\n(.*?)```", page, re.DOTALL)[0]
    assert printed.split("\n")[:-1] == made.formula.split("; ")
    assert by_hand(made.formula) == made.total
    assert f"**{exact(made.total)}**" in page
    assert end - start < DAY and start.astimezone(UTC) > NOW
