"""Tests who keeps places for whom: the head of the queue alone, or all waiting jobs; on nodes, not on a sum of
cores."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest

from scnet_hub.domain.jobs import Booking, NodeLoad, PartitionLoad, Waiting
from scnet_hub.domain.placement.backfill_plan import POOLED, Plan, plan

from .build import NOW, load, node

HOUR = timedelta(hours=1)


def busy(minutes: float, cores: int, where: str = "") -> Booking:
    return Booking(ends_at=NOW + timedelta(minutes=minutes), cores=cores, node=where)


def wants(cores: int, hours: float = 1, **more: int) -> Waiting:
    return Waiting(cores=cores, walltime=hours * HOUR, **more)


def fits(seen: Plan, cores: int, hours: float = 1, *, nodes: int = 1, after: timedelta = timedelta()) -> bool:
    return seen.holds(cores, 0, nodes, NOW + after, hours * HOUR)


# n1 has 6 of 8 cores busy for 2 h, n2 all of them for 3 h; an 8-core job waits, and a 2-core one behind it.
QUEUE = (wants(8), wants(2, 24))
BUSY = (busy(120, 6, "n1"), busy(180, 8, "n2"))
NODES = (node("n1", cores_used=6), node("n2", cores_used=8))


def test_a_scheduler_that_keeps_one_place_lets_others_pass_that_are_over_before_it_is_needed() -> None:
    easy = plan(load(*NODES, running=BUSY, waiting=QUEUE[:1], reserves=1), NOW)
    assert fits(easy, 2, 2) and not fits(easy, 2, 2.1) and not fits(easy, 3, 1)


def test_a_scheduler_that_keeps_all_places_has_none_left_that_a_queued_job_takes_now() -> None:
    queue = (wants(8), wants(2, 1.5))
    assert fits(plan(load(*NODES, running=BUSY, waiting=(wants(8),)), NOW), 2, 1)
    assert not fits(plan(load(*NODES, running=BUSY, waiting=queue), NOW), 2, 1)


def test_a_queued_job_needs_its_cores_on_one_node() -> None:
    """Four free cores on two nodes are no place for a job of four on one: it starts when a node is free, and so leaves
    a hole."""
    halves = load(
        node("n1", cores_used=6),
        node("n2", cores_used=6),
        running=(busy(60, 6, "n1"), busy(60, 6, "n2")),
        waiting=(wants(4),),
    )
    assert fits(plan(halves, NOW), 2, 1)
    assert not fits(plan(halves, NOW), 3, 1)
    whole = load(
        node("n1", cores_used=4),
        node("n2", cores_used=8),
        running=(busy(60, 4, "n1"), busy(60, 8, "n2")),
        waiting=(wants(4),),
    )
    assert not fits(plan(whole, NOW), 2, 0.5)


def test_where_nodes_are_kept_as_a_whole_nothing_passes_into_the_time_of_a_queued_job() -> None:
    """Four cores of n1 are wanted in 2 h: by cores four others stay free then, but Slurm keeps the node."""
    queue = (wants(4, 10),)
    by_cores = plan(load(*NODES, running=BUSY, waiting=queue), NOW)
    assert fits(by_cores, 2, 3) and not fits(by_cores, 3, 1)
    whole = plan(load(*NODES, running=BUSY, waiting=queue, keeps_nodes=True), NOW)
    assert fits(whole, 2, 2) and not fits(whole, 2, 2.1) and not fits(whole, 3, 1)
    assert whole.earliest(8, 0, 1, HOUR) == NOW + timedelta(hours=3)


def test_a_queued_job_that_can_start_takes_only_its_cores() -> None:
    now = plan(load(node("n1", cores_used=2), running=(busy(60, 2, "n1"),), waiting=(wants(4),), keeps_nodes=True), NOW)
    assert fits(now, 2, 1) and not fits(now, 3, 1)


def test_a_pool_keeps_cores_because_it_has_no_nodes() -> None:
    many = tuple(node(f"n{number}", cores_used=8) for number in range(POOLED + 1))
    used = busy(60, 8 * (POOLED + 1))
    seen = plan(load(*many, node("free"), running=(used,), waiting=(wants(16),), keeps_nodes=True), NOW)
    assert len(seen.nodes) == 1 and fits(seen, 8, 1.1)


def test_a_job_over_nodes_waits_for_both() -> None:
    both = load(*NODES, running=BUSY, waiting=(wants(16, 1, nodes=2),))
    assert fits(plan(both, NOW), 2, 3) and not fits(plan(both, NOW), 2, 3.1)
    assert not fits(plan(both, NOW), 2, 1, nodes=2)


def test_what_no_node_can_ever_hold_stands_in_nobodys_way() -> None:
    assert fits(plan(load(*NODES, running=BUSY, waiting=(wants(9),)), NOW), 2, 99)


def test_a_hole_closes_as_time_goes_by() -> None:
    easy = plan(load(*NODES, running=BUSY, waiting=QUEUE[:1], reserves=1), NOW)
    turn = easy.next_turn(NOW, HOUR)
    assert turn == NOW + HOUR
    assert fits(easy, 2, 1, after=HOUR) and not fits(easy, 2, 1, after=HOUR + timedelta(seconds=1))


def test_our_own_newer_submissions_take_the_first_free_place() -> None:
    seen = plan(load(*NODES, running=BUSY, waiting=()), NOW)
    assert fits(seen, 2) and not fits(seen.after([(1, 0)]), 2) and fits(seen.after([(1, 0)]), 1)


def test_a_job_whose_node_is_not_said_is_where_the_sums_agree() -> None:
    said = plan(load(*NODES, running=BUSY, waiting=QUEUE), NOW)
    unsaid = plan(
        load(*NODES, running=tuple(busy(60 * hours, cores) for hours, cores in ((3, 8), (2, 6))), waiting=QUEUE), NOW
    )
    assert [one.times for one in said.nodes] == [one.times for one in unsaid.nodes]


def test_a_large_partition_is_one_pool() -> None:
    many = tuple(node(f"n{number}", cores_used=8) for number in range(POOLED + 1))
    seen = plan(load(*many, node("free"), running=(busy(60, 8 * (POOLED + 1)),), waiting=(wants(16),)), NOW)
    assert len(seen.nodes) == 1
    assert fits(seen, 8, 1) and fits(seen, 8, 1.1) and not fits(seen, 9) and not fits(seen, 5, nodes=2)


@pytest.mark.parametrize("seed", range(30))
def test_no_node_is_ever_booked_beyond_its_cores(seed: int) -> None:
    random = Random(seed)
    nodes, running = [], []
    for number in range(random.randint(1, 5)):
        name, used = f"n{number}", 0
        for _ in range(random.randint(0, 4)):
            cores = random.randint(1, 8)
            if used + cores <= 16:
                used += cores
                running.append(busy(random.randint(1, 500), cores, name if random.random() < 0.5 else ""))
        nodes.append(NodeLoad(name=name, cores=16, cores_used=used))
    waiting = tuple(
        wants(random.randint(1, 20), random.randint(1, 9), nodes=random.choice((1, 1, 2))) for _ in range(10)
    )
    whole = PartitionLoad(
        name="cpu", nodes=tuple(nodes), running=tuple(running), waiting=waiting,
        reserves=random.choice((None, 0, 1, 3)), keeps_nodes=random.random() < 0.5,
    )  # fmt: skip
    for one in plan(whole, NOW).nodes:
        assert min(one.cores) >= 0 and one.times == sorted(set(one.times))
