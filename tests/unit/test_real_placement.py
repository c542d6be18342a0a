"""The pure parts of benchmarks/real_placement.py: where each policy sends a request, what is reported, and other
people's jobs."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    return importlib.import_module("real_placement")


@pytest.fixture
def other_jobs(benchmark: ModuleType) -> ModuleType:
    return importlib.import_module("other_jobs")


def centre(name: str, *, free: int, queued: int = 0, cores: int = 64, state: str = "up") -> dict[str, object]:
    return {"id": name, "state": state, "partitions": [{"cores": cores, "cores_free": free, "queued_cores": queued}]}


def outcome(
    benchmark: ModuleType, policy: str, wait: float | None, centre: str = "a", number: int = 0, **more: object
) -> object:
    return benchmark.Outcome(policy, benchmark.Request(1, 60), number, centre=centre, wait=wait, **more)


def test_round_robin_takes_the_centres_in_turn(benchmark: ModuleType) -> None:
    centres = [centre("a", free=0), centre("b", free=64)]
    assert [benchmark.round_robin(number, centres) for number in range(3)] == ["a", "b", "a"]


def test_least_loaded_counts_what_is_queued_against_the_size(benchmark: ModuleType) -> None:
    small_and_idle, large_and_queued = centre("a", free=4, cores=8), centre("b", free=60, queued=64)
    assert benchmark.least_loaded(0, [large_and_queued, small_and_idle]) == "a"


def test_least_loaded_leaves_out_what_does_not_answer(benchmark: ModuleType) -> None:
    assert benchmark.least_loaded(0, [centre("a", free=64, state="down"), centre("b", free=1)]) == "b"


def test_ours_is_not_pinned(benchmark: ModuleType) -> None:
    assert benchmark.POLICIES["scnet"](0, [centre("a", free=1)]) == ""


@pytest.mark.parametrize(("share", "value"), [(0.5, 10), (0.95, 19), (1.0, 20), (0.0, 1)])
def test_a_percentile_is_one_of_the_values(benchmark: ModuleType, share: float, value: int) -> None:
    assert benchmark.percentile(range(20, 0, -1), share) == value


def test_the_report_has_each_policy_with_its_waits_and_the_ratios_to_ours(benchmark: ModuleType) -> None:
    ours = [outcome(benchmark, "scnet", wait) for wait in (1.0, 3.0)]
    theirs = [outcome(benchmark, "round_robin", 70.0, "b", unstarted=True), outcome(benchmark, "round_robin", 10.0)]
    refused = outcome(benchmark, "round_robin", None, refused="No centre can take this now.")
    report = benchmark.report([*ours, *theirs, refused])
    found = report["policies"]["round_robin"]
    assert (found["requests"], found["refused"], found["unstarted"], found["wait_mean_s"]) == (3, 1, 1, 40.0)
    assert found["started_60s"] == pytest.approx(1 / 3, abs=0.001)  # a refusal is no start
    assert found["by_centre"]["b"] == {"requests": 1, "wait_mean_s": 70.0}
    assert report["ratios"]["round_robin"]["wait_mean"] == 20.0


def test_the_ratio_to_ours_comes_with_how_far_chance_alone_may_move_it(benchmark: ModuleType) -> None:
    always_twice = [
        outcome(benchmark, name, wait, number=n)
        for n in range(9)
        for name, wait in (("scnet", 5.0 + n), ("peer", 10.0 + 2 * n))
    ]
    luck = [
        outcome(benchmark, name, wait, number=n)
        for n, wait in enumerate((1.0, 60.0, 2.0))
        for name in ("scnet", "peer")
    ]
    luck[2] = outcome(benchmark, "scnet", 1.0, number=1)
    assert benchmark.report(always_twice)["ratios"]["peer"]["wait_mean_95"] == (2.0, 2.0)
    low, high = benchmark.report(luck)["ratios"]["peer"]["wait_mean_95"]
    assert low <= 1.0 and high > 10.0


def test_the_plan_of_other_peoples_jobs_is_the_same_for_the_same_seed_and_fills_the_centre(
    other_jobs: ModuleType,
) -> None:
    def plan(seed: int) -> list[object]:
        return list(other_jobs.plan(seed, 3600, "a", nodes=3, cores=64, level=0.95))

    jobs = plan(1)
    assert jobs == plan(1) != plan(2)
    work = sum(job.cores * job.runs for job in jobs if job.at)  # type: ignore[attr-defined]
    assert work / (3600 * 192) == pytest.approx(0.95, abs=0.15)
    assert all(1 <= job.cores <= 64 and 2 * job.runs <= job.limit <= 5 * job.runs for job in jobs)  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["slurm", "gridengine", "oar"])
def test_other_people_ask_each_scheduler_for_the_same(other_jobs: ModuleType, kind: str) -> None:
    argv = " ".join(other_jobs.command(kind, other_jobs.Job(at=0.0, centre="x", cores=4, runs=30, limit=90)))
    assert "4" in argv and "sleep 30" in argv and ("0:01:30" in argv or "h_rt=90" in argv)
