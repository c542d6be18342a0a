"""Tests how long credits last: some cases by hand, and for arbitrary lots that no credits appear and none are spent
twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from scnet_hub.domain.ledger.burn_down import FAR, burn_down, runs_out_at
from scnet_hub.domain.ledger.lots import OVERDRAFT, Lot

from .examples import examples

NOW = datetime(2026, 11, 23, 4, tzinfo=UTC)
DAY = timedelta(days=1)


def lot(available: int, days: float | None = None, **more: Any) -> Lot:
    until = None if days is None else NOW + timedelta(days=days)
    return Lot(
        **{
            "project": "p",
            "name": "x",
            "grantor": "g",
            "granted": available,
            "available": available,
            "expires_at": until,
        }
        | more
    )


def test_one_lot_lasts_as_long_as_it_is_many_days_large() -> None:
    points = burn_down([lot(100)], 0, 20, NOW)
    assert [(one.at, one.left, one.lost) for one in points] == [(NOW, 100, 0), (NOW + 5 * DAY, 0, 0)]
    assert runs_out_at(points, 20) == NOW + 5 * DAY


def test_what_is_held_still_counts_and_what_is_in_flight_does_not() -> None:
    assert runs_out_at(burn_down([lot(60, held=40)], 40, 20, NOW), 20) == NOW + 3 * DAY


def test_what_is_left_of_a_lot_at_its_end_is_lost() -> None:
    points = burn_down([lot(100), lot(100, 2)], 0, 10, NOW)
    assert [(one.at, one.left, one.lost) for one in points] == [
        (NOW, 200, 0), (NOW + 2 * DAY, 180, 0), (NOW + 2 * DAY, 100, 80), (NOW + 12 * DAY, 0, 0),
    ]  # fmt: skip


def test_what_is_spent_nowhere_does_not_run_out_but_ends() -> None:
    points = burn_down([lot(100, 2)], 0, 0, NOW)
    assert [(one.at, one.left) for one in points] == [(NOW, 100), (NOW + 2 * DAY, 100), (NOW + 2 * DAY, 0)]
    assert runs_out_at(points, 0) is None


def test_what_lasts_for_years_has_no_end_that_is_worth_a_date() -> None:
    points = burn_down([lot(10**15)], 0, 1, NOW)
    assert points[-1].at == NOW + FAR and runs_out_at(points, 1) is None


def test_a_project_below_zero_has_run_out_already() -> None:
    points = burn_down([lot(-5, name=OVERDRAFT, granted=0), lot(3)], 0, 1, NOW)
    assert (points[0].left, runs_out_at(points, 1)) == (0, NOW)


LOTS = st.lists(st.builds(lot, st.integers(-5, 50), st.sampled_from((None, -1, 0.5, 1, 3, 2000))), max_size=5)


@settings(deadline=None, max_examples=examples(200))
@given(LOTS, st.integers(0, 30), st.integers(0, 40))
def test_time_goes_on_and_credits_never_come_back(lots: list[Lot], used: int, per_day: int) -> None:
    points = burn_down(lots, used, per_day, NOW)
    assert all(before.at <= after.at and before.left >= after.left >= 0 for before, after in pairwise(points))
    gone = sum(before.left - after.left - after.lost for before, after in pairwise(points))
    # a microsecond is cut off each piece
    assert gone <= per_day * ((points[-1].at - NOW) / DAY) + 1e-6 * len(points) + 1
