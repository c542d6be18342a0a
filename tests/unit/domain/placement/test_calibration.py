"""Tests that ranges are right as often as they state, for all courses of waits."""

from __future__ import annotations

from random import Random

import pytest

from scnet_hub.domain.placement.calibration import Calibration
from scnet_hub.domain.placement.placement import Chance, Wait, place

from .build import NOW as TIME
from .build import load, node, offer, request

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


def test_an_estimate_without_starts_of_its_kind_is_brought_to_the_scale_of_those_with() -> None:
    """Of two queues one is expected to take 120 s and the other 600. The second has been learned to take 30 s, as such
    estimates are far too long here: the first one's is too, so the shorter queue is the better place."""
    full = {"running_jobs": 20, "queued_cores": 1}
    short = offer("short", load=load(node(cores_used=8), queued_jobs=1, **full))
    long = offer("long", load=load(node(cores_used=8), queued_jobs=9, **full))
    calibration = Calibration()
    (estimate,) = (one.wait for one in place(request(), [long], now=TIME).ranked)
    assert estimate.seconds and estimate.seconds == 600 and estimate.chance is Chance.LATER
    for _ in range(10):
        calibration.learn(estimate, "long", 30.0)
    forecast = calibration.forecast()
    assert forecast.scale == 2.0**-4 and forecast.scale_of(NOW) == 1.0
    ranked = place(request(), [long, short], now=TIME, forecast=forecast).ranked
    assert [one.offer.centre for one in ranked] == ["short", "long"]
    assert ranked[0].range is None and ranked[0].ready_s is not None and ranked[0].ready_s < 20


def test_there_is_no_scale_before_there_were_enough_turns() -> None:
    calibration = Calibration()
    for _ in range(9):
        calibration.learn(LATER, "a", 6.0)
    for _ in range(20):
        calibration.learn(NOW, "a", 6.0)
    assert calibration.forecast().scale == 1.0
    calibration.learn(LATER, "a", 0.0)
    assert calibration.forecast().scale == 2.0**-7
