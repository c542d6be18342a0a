"""Tests how all jobs of a cluster are placed together: where most of them start soon, each behind those before it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scnet_hub.domain.placement.clusters import ClusterPlace, place_cluster, why
from scnet_hub.domain.placement.placement import Offer, rank
from scnet_hub.domain.placement.wait_model import Chance

from .build import NOW, load, node, offer, request

CORES = st.integers(0, 16)


def placed(*offers: Offer, jobs: int = 5, cores: int = 4) -> list[ClusterPlace]:
    wanted = request(cores=cores, kind="dask")
    ranked, _ = rank(wanted, offers, now=NOW)
    return place_cluster([wanted] * jobs, ranked, NOW)


def centre(name: str, *free: int, **changes: Any) -> Offer:
    """A centre with a node of 16 cores for each number of free cores."""
    nodes = [node(f"{name}{number}", cores=16, cores_used=16 - left) for number, left in enumerate(free)]
    return offer(name, cores=16, nodes=len(nodes), load=load(*nodes), **changes)


def test_five_jobs_go_where_all_five_start_and_not_where_only_the_first_two_do() -> None:
    alpha, beta = centre("alpha", 9, order=0), centre("beta", 16, 16, 5, order=1)
    best, second = placed(alpha, beta)
    assert (best.first.offer.centre, best.now, best.soon) == ("beta", 5, 5)
    assert (second.first.offer.centre, second.soon) == ("alpha", 2)
    assert second.last.wait.chance > Chance.HOLE
    assert why(best) == "Beta, partition cpu: 5 of 5 jobs would start now"
    assert why(second).startswith("Alpha, partition cpu: 2 of 5 jobs would start now, the last ")


def test_where_all_start_at_once_the_order_is_that_of_one_job() -> None:
    alpha, beta = centre("alpha", 16, 16, order=0), centre("beta", 16, 16, order=1)
    ranked, _ = rank(request(cores=4), (alpha, beta), now=NOW)
    assert [one.first.offer.centre for one in placed(alpha, beta)] == [one.offer.centre for one in ranked]


def test_a_job_is_judged_behind_the_larger_jobs_before_it() -> None:
    alpha = centre("alpha", 9)
    ranked, _ = rank(request(cores=8), (alpha,), now=NOW)
    (found,) = place_cluster([request(cores=1), request(cores=8), request(cores=1)], ranked, NOW)
    assert [job.cores for job in found.jobs] == [8, 1, 1] and found.now == 2


def test_where_nothing_is_free_the_place_whose_last_job_starts_soonest_comes_first() -> None:
    full = load(node("beta0", cores=16, cores_used=16), queued_jobs=50, queued_cores=500)
    best, second = placed(centre("alpha", 0), replace(centre("beta", 0, order=1), load=full))
    assert (best.first.offer.centre, best.soon, second.soon) == ("alpha", 0, 0)
    assert "the first of 5 jobs would start" in why(best)


@given(st.lists(CORES, min_size=1, max_size=4), st.lists(CORES, min_size=1, max_size=4), st.integers(1, 12))
def test_no_other_place_has_more_of_the_jobs_soon_and_every_job_is_counted(
    alpha: list[int], beta: list[int], jobs: int
) -> None:
    found = placed(centre("alpha", *alpha), centre("beta", *beta, order=1), jobs=jobs)
    assert all(0 <= one.now <= one.soon <= len(one.jobs) == jobs for one in found)
    assert [one.soon for one in found] == sorted((one.soon for one in found), reverse=True)
    for one in found:
        free = alpha if one.first.offer.centre == "alpha" else beta
        assert one.now == min(jobs, sum(left // 4 for left in free))
        assert len([*one.each()]) == jobs


def test_no_place_for_one_job_is_no_place_for_all() -> None:
    assert placed(centre("alpha", 16), cores=64) == []


@pytest.mark.parametrize("jobs", [1, 256])
def test_one_job_and_the_most_jobs_are_placed(jobs: int) -> None:
    (found,) = placed(centre("alpha", 16, 16), jobs=jobs)
    assert (len(found.jobs), found.now) == (jobs, min(jobs, 8))
