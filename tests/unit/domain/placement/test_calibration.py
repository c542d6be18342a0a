"""Tests that ranges are right as often as they state, for all courses of waits."""

from __future__ import annotations

from random import Random

import pytest

from scnet_hub.domain.placement.calibration import Calibration
from scnet_hub.domain.placement.placement import Chance, Wait

NOW, LATER = Wait(Chance.NOW, "now", 1), Wait(Chance.LATER, "behind 3 queued jobs", 600)


def right(calibration: Calibration, waits: list[float], wait: Wait = LATER, centre: str = "a") -> float:
    """The share of `waits`, learned one after the other, that kept what was promised just before."""
    told = []
    for waited in waits:
        range_ = calibration.forecast().of(wait, centre)
        if range_:
            told.append(waited <= range_.p90)
        calibration.learn(wait, centre, waited, range_.p90 if range_ else None)
    return sum(told) / len(told)


def test_nothing_is_promised_before_there_were_enough() -> None:
    calibration = Calibration()
    for _ in range(9):
        calibration.learn(NOW, "a", 2.0)
    assert calibration.forecast().of(NOW, "a") is None
    calibration.learn(NOW, "b", 2.0)
    seen = calibration.forecast().of(NOW, "c")
    assert seen and (seen.p50, seen.p90, seen.starts) == (2.0, 2.0, 10)
    assert calibration.forecast().of(LATER, "a") is None


@pytest.mark.parametrize("seed", range(5))
def test_nine_in_ten_are_within_p90_when_waits_are_heavy_tailed(seed: int) -> None:
    random = Random(seed)
    assert 0.85 <= right(Calibration(), [random.lognormvariate(3, 2) for _ in range(1000)]) <= 0.95


@pytest.mark.parametrize("seed", range(5))
def test_nine_in_ten_are_within_p90_when_the_load_changes_at_once(seed: int) -> None:
    random = Random(seed)
    calibration = Calibration()
    waits = [random.lognormvariate(1 + 5 * (number // 300 % 2), 1) for number in range(1500)]
    assert 0.85 <= right(calibration, waits) <= 0.95
    assert calibration.changes


def test_a_centre_that_is_slower_than_others_has_its_own_range() -> None:
    calibration = Calibration()
    for _ in range(30):
        calibration.learn(NOW, "quick", 1.0)
        calibration.learn(NOW, "slow", 60.0)
    seen = calibration.forecast()
    assert [seen.of(NOW, centre).p50 for centre in ("quick", "slow")] == [1.0, 60.0]  # type: ignore[union-attr]


def test_half_are_within_p50() -> None:
    calibration = Calibration()
    for waited in range(1, 100):
        calibration.learn(LATER, "a", float(waited))
    seen = calibration.forecast().of(LATER, "a")
    assert seen and seen.p50 == 50 and seen.p90 >= 90
