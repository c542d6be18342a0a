"""Now, soon or later: by the shape of what is free, by the queue, and by our own submissions not yet seen there."""

from __future__ import annotations

from scnet_hub.placement import Shape
from scnet_hub.placement.wait import Chance, expect, free_cores, fullness

from .build import GIB, load, node, offer, request


def test_an_idle_partition_starts_now() -> None:
    wait = expect(request(cores=8), offer())
    assert (wait.chance, wait.kind, wait.words) == (Chance.NOW, "now", "now")


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
    wait = expect(request(cores=2), offer(load=load(node(cores_used=6), queued_jobs=1, queued_cores=8)))
    assert (wait.kind, wait.words) == ("soon", "within a minute, beside 1 queued job")


def test_a_full_partition_with_a_queue_is_later() -> None:
    wait = expect(request(), offer(load=load(node(cores_used=8), queued_jobs=3, queued_cores=9)))
    assert (wait.kind, wait.words, wait.seconds) == ("later", "behind 3 queued jobs", None)


def test_nodes_that_are_down_hold_nothing() -> None:
    assert expect(request(), offer(load=load(node(up=False)))).chance is Chance.NEXT


def test_own_newer_submissions_take_their_share() -> None:
    one_left = offer(pending=(Shape(8), Shape(7)))
    assert expect(request(cores=1), one_left).chance is Chance.NOW
    assert expect(request(cores=2), one_left).chance is Chance.NEXT
    assert free_cores(one_left) == 1


def test_own_newer_submissions_that_find_no_room_are_the_queue() -> None:
    crowded = offer(load=load(node()), pending=(Shape(8), Shape(8), Shape(8)))
    assert expect(request(), crowded).words == "behind 2 queued jobs"
    assert fullness(request(), crowded) == 3.0


def test_fullness_of_a_gpu_request_is_that_of_the_gpus() -> None:
    busy = offer(load=load(node(cores_used=2, gpus=4, gpus_used=3)))
    assert fullness(request(), busy) == 0.25
    assert fullness(request(gpus=1), busy) == 0.75
