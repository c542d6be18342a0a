"""Tests the product's own policy in a run, and the two bounds that no real federation can reach."""

from __future__ import annotations

from functools import cache

from scnet_hub.domain.placement.placement import place
from scnet_hub.simulator import Run, Scenario, Workload, product, simulate, summary, workload_of
from scnet_hub.simulator.ideal import Future
from scnet_hub.simulator.model import Job, Request
from scnet_hub.simulator.product import Product, clock, load_of
from scnet_hub.simulator.run import View


@cache
def tight() -> Workload:
    return workload_of(Scenario(centres=4, load="hot", days=0.6, seed=2, snapshot_age=30))


@cache
def broken() -> Workload:
    return workload_of(
        Scenario(centres=6, load="tight", days=1, seed=1, snapshot_age=30, black_hole=True, outages=True)
    )


def test_the_product_s_own_place_decides() -> None:
    assert vars(product)["place"] is place


def test_it_is_nearer_to_the_ideal_than_any_plain_policy() -> None:
    told = {name: summary(simulate(tight(), name)) for name in ("least_loaded", "round_robin", "scnet", "all_centres")}
    assert (
        told["scnet"]["wait_mean_s"] < min(told["least_loaded"]["wait_mean_s"], told["round_robin"]["wait_mean_s"]) / 2
    )
    assert told["scnet"]["submissions_per_request"] <= 1.4 and told["scnet"]["duplicate_starts_per_request"] <= 0.02
    assert (
        told["all_centres"]["submissions_per_request"] == 4 and told["all_centres"]["duplicate_starts_per_request"] == 0
    )


def test_a_black_hole_is_left_out_by_the_breaker_and_nobody_gives_up() -> None:
    told = summary(simulate(broken(), "scnet", check=True))
    careless = summary(simulate(broken(), "earliest_start"))
    assert (
        told["failed_start_share"] < 0.1 < careless["failed_start_share"] and told["gave_up"] == 0 < careless["gave_up"]
    )


def test_a_snapshot_says_what_runs_and_waits() -> None:
    run = simulate(tight(), "random")
    view = next(view for view in (View(machine, run.now) for machine in run.machines) if view.queued)
    load = load_of(view)
    assert load.cores_free == view.free and len(load.running) == load.running_jobs and load.queued_jobs == view.queued
    assert sum(booking.cores for booking in load.running) == view.cores - view.free
    assert [one.cores for one in load.waiting] == [job.cores for job in view.waiting]
    assert all(booking.ends_at >= clock(run.now) for booking in load.running)


class Prophet:
    """Asks for the future of each choice before it is there."""

    watches = False

    def __init__(self, run: Run) -> None:
        self.run = run
        self.said: list[tuple[Request, float | None]] = []

    def arrived(self, request: Request) -> None:
        index = self.run.fits(request)[0]
        self.said.append((request, Future(self.run, index, request).play(self.run.scenario.horizon)))
        self.run.submit(request, index)

    def started(self, job: Job) -> None:
        pass

    def home(self, job: Job) -> None:
        pass

    def died(self, job: Job, *, reached: bool) -> None:
        raise AssertionError


def test_the_oracle_foresees_what_happens_if_nobody_else_comes() -> None:
    """One centre; people come seldom, so most of what is foreseen is what happens."""
    run = Run(workload_of(Scenario(centres=1, load="mod", days=1, seed=4)), Prophet, check=True).go()
    router = run.router
    assert isinstance(router, Prophet)
    right = [said == request.started_at for request, said in router.said]
    assert len(right) > 30 and sum(right) / len(right) > 0.8


def test_promises_are_kept_at_least_about_as_often_as_they_say() -> None:
    run = simulate(workload_of(Scenario(centres=4, load="hot", days=1, seed=1)), "scnet")
    router = run.router
    assert isinstance(router, Product)
    assert router.promises > 100 and router.kept / router.promises >= 0.8
