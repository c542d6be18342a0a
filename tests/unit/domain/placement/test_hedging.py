"""Tests when a stalled start is submitted at one more place, and where."""

from __future__ import annotations

from datetime import timedelta

import pytest

from scnet_hub.domain.jobs import Booking, Waiting
from scnet_hub.domain.placement import hedging
from scnet_hub.domain.placement.placement import Offer, Ranked, place
from scnet_hub.domain.placement.wait_model import Chance
from scnet_hub.domain.standard.federation import SecondChanceSpec

from .build import NOW, load, node, offer, request

HOUR = timedelta(hours=1)
HOLE = load(
    node(cores_used=6), queued_jobs=1, queued_cores=8, running_jobs=1,
    running=(Booking(ends_at=NOW + 2 * HOUR, cores=6),), waiting=(Waiting(cores=8, walltime=HOUR),),
)  # fmt: skip
FULL = load(node(cores_used=8), running_jobs=2)
QUEUED = load(node(cores_used=8), running_jobs=2, queued_jobs=9)


def ranked(**loads: object) -> list[Ranked]:
    offers: list[Offer] = [offer(name, load=one) for name, one in loads.items()]
    return list(place(request(), offers, now=NOW).ranked)


def test_a_hole_is_enough_and_a_queue_only_in_the_end() -> None:
    found = hedging.where(ranked(queued=QUEUED, hole=HOLE))
    assert found and (found.offer.centre, found.wait.chance) == ("hole", Chance.HOLE)
    queues = ranked(queued=QUEUED, full=FULL)
    assert hedging.where(queues) is None
    found = hedging.where(queues, anywhere=True)
    assert found and found.offer.centre == "full"  # whose turn comes first
    assert hedging.where([], anywhere=True) is None


@pytest.mark.parametrize(
    ("pinned", "seconds", "may"), [(False, 79, False), (False, 80, True), (True, 1199, False), (True, 1200, True)]
)
def test_a_further_queue_is_for_what_has_waited_two_patiences(pinned: bool, seconds: float, may: bool) -> None:
    assert (
        hedging.anywhere(SecondChanceSpec(), asked_at=NOW, pinned=pinned, now=NOW + timedelta(seconds=seconds)) is may
    )
