"""Tests which job starts next on the embedded centre: pure decisions over counts."""

import random
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from scnet_hub.demo.embedded import background_load
from scnet_hub.demo.embedded.scheduler import RUNNING, Job, Left, Need, Node, Spot, decide, fit, left_of

NOW = 1000.0
GIB = 2**30


def nodes(count: int = 2, cores: int = 4, gpus: int = 0) -> list[Node]:
    return [Node(f"n{number}", "127.0.0.1", cores, 8 * GIB, gpus) for number in range(1, count + 1)]


def job(number: int, cores: int = 1, *, count: int = 1, limit: int = 100, gpus: int = 0, memory: int = 0) -> Job:
    return Job(
        id=number, name=f"j{number}", user="ada", partition="main", need=Need(count, cores, memory, gpus), limit=limit
    )


def on(running: Job, *spots: Spot, since: float = NOW) -> Job:
    running.state, running.spots, running.started_at = RUNNING, spots, since
    return running


def test_what_fits_starts_in_the_order_of_arrival() -> None:
    decision = decide(nodes(1), [], [job(1, 2), job(2, 2), job(3, 1)], NOW)
    assert list(decision.starts) == [1, 2]
    assert decision.reasons == {3: "Resources"}


def test_a_later_small_job_passes_a_wide_one_if_it_ends_before_the_wide_one_can_start() -> None:
    running = on(job(1, 3, limit=100), Spot("n1"))
    decision = decide(nodes(1), [running], [job(2, 4), job(3, 1, limit=100), job(4, 1, limit=101)], NOW)
    assert list(decision.starts) == [3]
    assert decision.reasons == {2: "Resources", 4: "Priority"}
    assert decision.starts_at == {2: NOW + 100}


def test_a_long_job_passes_on_cores_that_the_reservation_leaves() -> None:
    running = on(job(1, 4, limit=100), Spot("n1"))
    decision = decide(
        nodes(2), [running], [job(2, 3, count=2, limit=50), job(3, 1, limit=10_000), job(4, 1, limit=10_000)], NOW
    )
    assert list(decision.starts) == [3], "one spare core beside the reserved three of n2, not two"


def test_backfill_never_takes_the_reserved_gpu() -> None:
    running = on(job(1, 1, gpus=1), Spot("n1", (0,)))
    decision = decide(nodes(1, gpus=2), [running], [job(2, 1, gpus=2), job(3, 1, gpus=1, limit=10_000)], NOW)
    assert decision.starts == {}


def test_gpus_are_given_by_number_and_the_fullest_node_first() -> None:
    busy = on(job(1, 2, gpus=1), Spot("n2", (0,)))
    decision = decide(nodes(2, gpus=2), [busy], [job(2, 1, gpus=1), job(3, 1, gpus=2)], NOW)
    assert decision.starts == {2: (Spot("n2", (1,)),), 3: (Spot("n1", (0, 1)),)}


def test_memory_is_booked_as_well() -> None:
    decision = decide(nodes(1), [], [job(1, 1, memory=6 * GIB), job(2, 1, memory=4 * GIB)], NOW)
    assert list(decision.starts) == [1]


def test_an_overdue_job_counts_as_ending_now() -> None:
    running = on(job(1, 4, limit=10), Spot("n1"), since=NOW - 500)
    assert decide(nodes(1), [running], [job(2, 4)], NOW).starts_at == {2: NOW}


sizes = st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(0, 2), st.integers(1, 500), st.integers(0, 8))
requests = st.lists(sizes, max_size=25)


@given(requests, requests)
def test_nothing_is_ever_booked_twice_and_the_first_to_wait_is_never_delayed(first: list, second: list) -> None:
    machines = nodes(3, gpus=2)
    make = lambda start, all_: [  # noqa: E731
        job(start + i, c, count=n, gpus=g, limit=limit, memory=m * GIB) for i, (c, n, g, limit, m) in enumerate(all_)
    ]
    running: list[Job] = []
    for pending in (make(1, first), make(100, second)):
        decision = decide(machines, running, pending, NOW)
        running += [on(one, *decision.starts[one.id]) for one in pending if one.id in decision.starts]
        assert_sound(left_of(machines, running), running)
        for waiting, at in decision.starts_at.items():
            need = next(one.need for one in pending if one.id == waiting)
            still = [one for one in running if one.ends_by(NOW) > at]
            assert fit(need, left_of(machines, still)), "backfill delayed the job with the reservation"


def assert_sound(left: Left, running: Sequence[Job]) -> None:
    assert all(free.cores >= 0 and free.memory >= 0 for free in left.values())
    taken = [(spot.node, gpu) for one in running for spot in one.spots for gpu in spot.gpus]
    assert len(taken) == len(set(taken))
    for one in running:
        assert len({spot.node for spot in one.spots}) == one.need.nodes
        assert all(len(spot.gpus) == one.need.gpus for spot in one.spots)


# ---- other people's load


def test_others_follow_the_wave_and_never_pass_the_ceiling() -> None:
    machines, wave, dice = nodes(2, cores=16), background_load.Wave(0.7, 5), random.Random(5)
    shares, running = [], []
    for step in range(0, 900, 3):
        now = NOW + step
        running = [one for one in running if one.started_at + one.pretend > now]
        for new in background_load.arrivals(wave, machines, left_of(machines, running), running, "main", now, dice):
            running.append(on(new, *fit(new.need, left_of(machines, running)), since=now))
        shares.append(sum(one.cores for one in running) / 32)
    assert max(shares) <= 0.7
    assert max(shares[60:]) - min(shares[60:]) > 0.2, "the load must move"


def test_centres_of_different_seeds_have_their_own_rhythm() -> None:
    assert len({round(background_load.Wave(0.7, seed).share(NOW), 3) for seed in range(8)}) > 5


def test_filling_books_every_core() -> None:
    machines = nodes(2, cores=4)
    busy = [on(job(1, 3, memory=8 * GIB), Spot("n1"))]
    for new in background_load.filling(machines, left_of(machines, busy), "main", random.Random(1)):
        busy.append(on(new, *fit(new.need, left_of(machines, busy))))
    assert all(free.cores == 0 for free in left_of(machines, busy).values())
