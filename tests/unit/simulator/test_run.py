"""Tests runs: cores are conserved, a seed determines the result, and no policy changes other people's jobs."""

from __future__ import annotations

from functools import cache

import pytest

from scnet_hub.errors import BadOption
from scnet_hub.simulator import POLICIES, Scenario, Workload, simulate, summary, waits, workload_of
from scnet_hub.simulator.model import Request
from scnet_hub.simulator.run import Router, Run
from scnet_hub.simulator.swf import Batch, Site
from scnet_hub.simulator.workload import DAY, strata

SMALL = Scenario(centres=3, load="hot", days=0.4, seed=3, snapshot_age=30)


@cache
def small() -> Workload:
    return workload_of(SMALL)


@pytest.mark.parametrize("policy", POLICIES)
def test_cores_are_conserved_at_every_event(policy: str) -> None:
    run = simulate(small(), policy, check=True)
    assert len(run.requests) > 20 and all(wait >= 1 for wait in waits(run))


@pytest.mark.parametrize("policy", POLICIES)
def test_the_same_seed_gives_the_same_result(policy: str) -> None:
    assert summary(simulate(small(), policy)) == summary(simulate(small(), policy))


def test_every_policy_sees_the_same_requests_and_the_same_background() -> None:
    runs = [simulate(small(), policy) for policy in POLICIES]
    assert len({tuple(one.arrived for one in run.requests) for run in runs}) == 1
    assert len({tuple(run.background) for run in runs}) == 1
    assert len({len(run.background_waits) for run in runs}) == 1


def test_another_seed_is_another_federation() -> None:
    assert workload_of(Scenario(centres=3, days=0.4, seed=4)).asks != small().asks


def test_each_centre_is_offered_the_load_that_was_wanted() -> None:
    workload = workload_of(Scenario(centres=4, load="tight", days=3, seed=1))
    loads = sorted(
        sum(job.cores * job.run for job in centre.arrivals) / centre.cores / 3 / DAY for centre in workload.centres
    )
    assert loads[0] >= 0.80 and loads[-1] <= 1.02  # the last job may be more than was left
    assert all(0 <= job.at <= 3 * DAY for centre in workload.centres for job in centre.arrivals)


def test_strata_cover_the_range() -> None:
    from random import Random

    loads = sorted(strata(0.0, 1.0, 10, Random(1)))
    assert all(part / 10 <= load <= (part + 1) / 10 for part, load in enumerate(loads))


def test_classes_start_within_two_minutes() -> None:
    asks = [ask for ask in small().asks if ask.person >= 1_000_000]
    assert len(asks) == 23 and asks[-1].at - asks[0].at <= 120


def test_what_nothing_fits_is_said_before_the_run() -> None:
    tiny = Site("tiny", 4, tuple(Batch(number * 60.0, 2, 600.0, 900.0) for number in range(50)))
    with pytest.raises(BadOption, match="up to 16 cores, and the largest centre here has 4"):
        workload_of(SMALL, [tiny])


def test_a_log_with_too_little_work_is_said() -> None:
    idle = Site("idle", 1_000_000, (Batch(0.0, 1, 1.0, 60.0),))
    with pytest.raises(BadOption, match="too little work"):
        workload_of(SMALL, [idle])


@pytest.mark.parametrize(
    "change", [{"centres": 0}, {"load": "warm"}, {"days": 0}, {"snapshot_age": -1}, {"centres": 1, "black_hole": True}]
)
def test_what_cannot_be_simulated_gets_a_sentence(change: dict[str, object]) -> None:
    with pytest.raises(BadOption):
        workload_of(Scenario(**change))  # type: ignore[arg-type]


def test_a_run_tells_how_far_it_is() -> None:
    heard: list[float] = []
    simulate(workload_of(Scenario(centres=3, days=1.5)), "random", tell=heard.append)
    assert heard == sorted(heard) and heard and 0 < heard[-1] <= 1


class Everywhere:
    """Two copies at once; the one that does not win is cancelled when the winner started."""

    watches = False

    def __init__(self, run: Run) -> None:
        self.run = run

    def arrived(self, request: Request) -> None:
        for index in self.run.fits(request)[:2]:
            self.run.submit(request, index)

    def started(self, job: object) -> None:
        request = job.request  # type: ignore[attr-defined]
        for other in request.copies:
            if other is not request.winner:
                self.run.cancel_later(other)

    def home(self, job: object) -> None:
        pass

    def died(self, job: object, *, reached: bool) -> None:
        raise AssertionError


def test_copies_are_cancelled_and_those_that_started_twice_are_counted() -> None:
    make: type[Router] = Everywhere
    run = Run(small(), make, check=True).go()
    told = summary(run)
    assert told["submissions_per_request"] == 2 and 0 < told["duplicate_starts_per_request"] < 1
    over = [
        request
        for request in run.requests
        if request.winner and request.started_at and run.now - request.started_at > 3
    ]
    assert all(not copy.live for request in over for copy in request.copies if copy is not request.winner)


def test_a_black_hole_takes_what_looks_for_the_idlest_and_gives_it_up() -> None:
    workload = workload_of(Scenario(centres=4, load="tight", days=0.5, seed=1, black_hole=True))
    told = summary(simulate(workload, "least_loaded", check=True))
    assert told["failed_start_share"] > 0.9 and told["gave_up"] > 0
    assert summary(simulate(workload, "random"))["gave_up"] == 0


def test_in_an_outage_nothing_starts_and_later_all_goes_on() -> None:
    workload = workload_of(Scenario(centres=3, load="mod", days=6, seed=1, outages=True))
    told = summary(simulate(workload, "round_robin"))
    assert 0 < told["failed_start_share"] < 0.1 and told["gave_up"] == 0
