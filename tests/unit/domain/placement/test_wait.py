"""Tests the classes now, soon and later: by the shape of free resources, by the queue, and by own submissions not yet
visible there."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from scnet_hub.domain.jobs import Backfill, Booking, JobRequest, Waiting
from scnet_hub.domain.placement import wait_model
from scnet_hub.domain.placement.placement import Offer, Shape, Wait, look
from scnet_hub.domain.placement.wait_model import END_SECONDS, LONGEST_SECONDS, Chance

from .build import GIB, NOW, load, node, offer, request


def expect(request: JobRequest, offer: Offer) -> Wait:
    return wait_model.expect(request, offer.at(NOW), NOW)


def fullness(request: JobRequest, offer: Offer) -> float:
    return wait_model.fullness(request, offer.at(NOW))


def busy(minutes: int, cores: int, **more: Any) -> Booking:
    return Booking(ends_at=NOW + timedelta(minutes=minutes), cores=cores, **more)


def hours(count: float) -> timedelta:
    return timedelta(hours=count)


def test_an_idle_partition_starts_now() -> None:
    seen = expect(request(cores=8), offer())
    assert (seen.chance, seen.kind, seen.words) == (Chance.NOW, "now", "now")


def test_free_cores_spread_over_nodes_do_not_make_one_node() -> None:
    halves = load(node("n1", cores_used=4), node("n2", cores_used=4))
    assert expect(request(cores=8), offer(load=halves)).chance is Chance.NEXT
    assert expect(request(cores=8, nodes=2), offer(load=halves)).chance is Chance.NOW


def test_memory_and_gpus_count_like_cores() -> None:
    full = offer(load=load(node(memory_used=15 * GIB, gpus=1, gpus_used=1)))
    assert expect(request(memory=2 * GIB), full).chance is Chance.NEXT
    assert expect(request(gpus=1), full).chance is Chance.NEXT
    assert expect(request(memory=GIB), full).chance is Chance.NOW


def test_a_hole_beside_a_queue_is_soon() -> None:
    seen = expect(request(cores=2), offer(load=load(node(cores_used=6), queued_jobs=1, queued_cores=8)))
    assert (seen.kind, seen.words) == ("soon", "within a minute, beside 1 queued job")


def test_a_full_partition_with_a_queue_is_later() -> None:
    seen = expect(request(), offer(load=load(node(cores_used=8), queued_jobs=3, queued_cores=9)))
    assert (seen.kind, seen.words, seen.seconds) == ("later", "behind 3 queued jobs", None)


def test_nodes_that_are_down_hold_nothing() -> None:
    assert expect(request(), offer(load=load(node(up=False)))).chance is Chance.NEXT


def test_own_newer_submissions_take_their_share() -> None:
    one_left = offer(pending=(Shape(8), Shape(7)))
    assert expect(request(cores=1), one_left).chance is Chance.NOW
    assert expect(request(cores=2), one_left).chance is Chance.NEXT
    seen = one_left.at(NOW).seen
    assert seen and seen.cores_free == 1


def test_own_newer_submissions_that_find_no_room_are_the_queue() -> None:
    crowded = offer(load=load(node()), pending=(Shape(8), Shape(8), Shape(8)))
    assert expect(request(), crowded).words == "behind 2 queued jobs"
    assert fullness(request(), crowded) == 3.0


def test_fullness_of_a_gpu_request_is_that_of_the_gpus() -> None:
    partly = offer(load=load(node(cores_used=2, gpus=4, gpus_used=3)))
    assert fullness(request(), partly) == 0.25
    assert fullness(request(gpus=1), partly) == 0.75


# ---- the hole beside the queue: 6 of 8 cores are busy for 2 h, and the head of the queue wants all 8


HOLE = offer(
    load=load(
        node(cores_used=6), queued_jobs=1, queued_cores=8, running_jobs=1,
        running=(busy(120, 6),), waiting=(Waiting(cores=8, walltime=hours(1)),),
    )
)  # fmt: skip


def test_what_is_over_before_the_head_of_the_queue_starts_fits_the_hole() -> None:
    assert expect(request(cores=2, walltime=hours(2)), HOLE).chance is Chance.HOLE
    assert expect(request(cores=2, walltime=hours(2.1)), HOLE).chance is Chance.LATER


def test_what_fits_beside_the_head_of_the_queue_may_last_for_as_long_as_it_likes() -> None:
    smaller = load(
        node(cores_used=6), queued_jobs=1, queued_cores=6, running_jobs=1,
        running=(busy(120, 6),), waiting=(Waiting(cores=6, walltime=hours(1)),),
    )  # fmt: skip
    assert expect(request(cores=2, walltime=hours(24)), offer(load=smaller)).chance is Chance.HOLE
    assert expect(request(cores=2, walltime=hours(24)), offer(load=smaller, pending=(Shape(1),))).chance is Chance.LATER


def test_what_could_start_at_once_is_no_head() -> None:
    """The first of the queue takes one of the two free cores, for 9 h: so long has the second to wait for all 8."""
    two = load(
        node(cores_used=6), queued_jobs=2, queued_cores=10, running_jobs=1,
        running=(busy(120, 6),), waiting=(Waiting(cores=1, walltime=hours(9)), Waiting(cores=8, walltime=hours(1))),
    )  # fmt: skip
    assert expect(request(cores=1, walltime=hours(9)), offer(load=two, taken_at=NOW)).chance is Chance.HOLE
    assert expect(request(cores=2, walltime=hours(1)), offer(load=two, taken_at=NOW)).chance is Chance.LATER


def test_a_job_past_its_limit_is_about_to_end() -> None:
    late = load(node(cores_used=8), running_jobs=1, running=(busy(-5, 8),))
    # the least that is said of a place that is not free
    assert expect(request(cores=2), offer(load=late, taken_at=NOW)).seconds == 60


def test_later_is_when_those_before_it_have_had_their_turn() -> None:
    """One job runs, one waits, and one has to end for us after it; many that run end more often."""
    seen = expect(request(cores=4), replace(HOLE, taken_at=NOW))
    assert (seen.chance, seen.seconds) == (Chance.LATER, 2 * END_SECONDS)
    many = load(node(cores_used=8), queued_jobs=1, running_jobs=8)
    assert expect(request(cores=1), offer(load=many)).seconds == 2 * END_SECONDS / 8
    assert expect(request(cores=3), offer(load=many)).seconds == 4 * END_SECONDS / 8


def test_what_is_free_and_kept_for_the_queue_is_later_than_that() -> None:
    """Of two free cores none is for us until the head of the queue, which waits for 2 h at most, has had its hour."""
    seen = expect(request(cores=2, walltime=hours(3)), replace(HOLE, taken_at=NOW))
    assert (seen.chance, seen.seconds) == (Chance.LATER, 3 * 3600)


def test_a_hole_is_filled_at_the_next_look_after_the_submission_arrived() -> None:
    def looks(seconds: float) -> Wait:
        assert HOLE.load
        load = replace(HOLE.load, backfill=Backfill(NOW - timedelta(seconds=30 - seconds), timedelta(seconds=30)))
        return expect(request(cores=2), replace(HOLE, load=load, outlook=look(load, NOW)))

    assert [looks(seconds).seconds for seconds in (20, 2, 1, 0.5)] == [20, 2, 31, 30.5]
    assert looks(20).look == NOW + timedelta(seconds=20)


def test_behind_as_many_as_the_scheduler_looks_at_there_is_no_hole() -> None:
    assert HOLE.load
    for depth, chance in ((1, Chance.LATER), (2, Chance.HOLE), (None, Chance.HOLE)):
        load = replace(HOLE.load, backfill=Backfill(NOW, timedelta(seconds=30), depth))
        assert expect(request(cores=2), replace(HOLE, load=load, outlook=look(load, NOW))).chance is chance


def test_a_queue_without_end_is_a_year() -> None:
    endless = load(node(cores_used=8), queued_jobs=10**9, queued_cores=10**9, running_jobs=1)
    assert expect(request(), offer(load=endless, taken_at=NOW)).seconds == LONGEST_SECONDS


def test_next_is_when_enough_ends() -> None:
    full = load(node(cores_used=8), running_jobs=2, running=(busy(90, 4), busy(30, 4)))
    assert expect(request(cores=4), offer(load=full)).seconds == END_SECONDS / 2
    assert expect(request(cores=8), offer(load=full)).seconds == END_SECONDS
    soon = load(node(cores_used=8), running_jobs=2, running=(busy(90, 4), busy(5, 4)))
    assert expect(request(cores=4), offer(load=soon)).seconds == 300  # its limit says so
