"""The schedule: the same for the same seed, never everything at once, always mended."""

from __future__ import annotations

import pytest

from tests.real.testbed import faults as testbed_faults
from tests.real.testbed.layout import CENTRES

from .catalogue import FAULTS
from .schedule import RECOVERY, Step, plan

HOUR = 3600.0
SEEDS = range(20)


def overlap(one: Step, other: Step, gap: float = 0.0) -> bool:
    return one.begins < other.ends + gap and other.begins < one.ends + gap


def test_the_same_seed_makes_the_same_schedule_and_another_seed_another() -> None:
    assert plan(7, 300) == plan(7, 300)
    assert plan(7, 300) != plan(8, 300)


@pytest.mark.parametrize("seed", SEEDS)
def test_all_that_breaks_is_mended_in_time(seed: int) -> None:
    steps = plan(seed, 300)
    assert len(steps) > 12
    assert all(0 < step.begins < step.ends <= 300 for step in steps)
    assert list(steps) == sorted(steps, key=lambda step: step.begins)


@pytest.mark.parametrize("seed", SEEDS)
def test_never_is_everything_broken(seed: int) -> None:
    steps = plan(seed, 900)
    for step in steps:
        meanwhile = {other.target for other in steps if other.begins <= step.begins < other.ends}
        assert len(meanwhile & set(CENTRES)) <= 2
        assert len(meanwhile - set(CENTRES)) <= 1
        again = [
            other
            for other in steps
            if other is not step and other.target == step.target and overlap(step, other, RECOVERY)
        ]
        assert not again


@pytest.mark.parametrize("seed", SEEDS)
def test_a_short_run_has_what_matters_most(seed: int) -> None:
    struck = {step.name for step in plan(seed, 300)}
    assert struck >= {fault.name for fault in FAULTS.values() if fault.essential}


def test_an_hour_has_every_fault() -> None:
    assert {step.name for step in plan(7, HOUR)} == set(FAULTS)


def test_faults_strike_only_where_they_can() -> None:
    for step in plan(3, HOUR):
        fault = FAULTS[step.name]
        assert step.target in fault.targets
        if fault.at:
            centre = CENTRES[step.target]
            assert step.at in (centre.nodes if fault.at == "node" else centre.people.values())


def test_a_fault_can_be_left_out_and_so_can_a_centre() -> None:
    steps = plan(3, 900, centres=("a", "c"), without=("dead",))
    assert "dead" not in {step.name for step in steps}
    assert {step.target for step in steps} & set(CENTRES) == {"a", "c"}


def test_every_fault_of_the_testbed_is_struck_and_mended_by_its_own_opposite() -> None:
    ours = {fault.name: fault.opposite for fault in FAULTS.values()}
    assert testbed_faults.OPPOSITES.items() <= ours.items()
