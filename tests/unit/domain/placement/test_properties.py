"""Tests properties of every federation and every request, beyond the cases that were written by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from scnet_hub.domain.jobs import JobRequest, NodeLoad, PartitionLoad
from scnet_hub.domain.placement.placement import Offer, Shape, place, soonest
from scnet_hub.domain.placement.rules import refusal
from scnet_hub.units import Amount

from .build import GIB, NOW

SMALL = st.integers(0, 8)


@st.composite
def nodes(draw: st.DrawFn) -> NodeLoad:
    cores, memory, gpus = draw(st.integers(1, 16)), draw(SMALL) * GIB, draw(st.integers(0, 2))
    return NodeLoad(
        name=draw(st.sampled_from("abcdef")),
        cores=cores, cores_used=draw(st.integers(0, cores)),
        memory=memory, memory_used=draw(st.integers(0, memory)),
        gpus=gpus, gpus_used=draw(st.integers(0, gpus)),
        up=draw(st.booleans()),
    )  # fmt: skip


@st.composite
def offers(draw: st.DrawFn) -> Offer:
    load = PartitionLoad(
        name="cpu",
        nodes=tuple(draw(st.lists(nodes(), max_size=4))),
        queued_jobs=draw(SMALL),
        queued_cores=draw(SMALL),
        up=draw(st.booleans()),
    )
    return Offer(
        centre=draw(st.uuids()).hex, partition="cpu", cores=draw(st.integers(1, 16)), nodes=draw(st.integers(1, 4)),
        memory=draw(SMALL) * GIB, memory_per_core=draw(st.sampled_from([0, GIB])), gpus=draw(st.integers(0, 2)),
        max_walltime=timedelta(hours=draw(st.integers(1, 48))),
        core_hour=Amount(draw(st.integers(0, 10**7))), gpu_hour=Amount(draw(st.integers(0, 10**7))),
        load=draw(st.one_of(st.none(), st.just(load))),
        taken_at=NOW - timedelta(seconds=draw(st.integers(0, 120))),
        state=draw(st.sampled_from(["up", "up", "up", "stale", "down", "unknown"])),
        pending=tuple(draw(st.lists(st.builds(Shape, SMALL, SMALL, SMALL), max_size=3))),
        order=draw(SMALL),
    )  # fmt: skip


FEDERATIONS = st.lists(offers(), max_size=6, unique_by=lambda offer: offer.centre)
REQUESTS = st.builds(
    JobRequest,
    person=st.just("ada"),
    project=st.just("sea"),
    cores=st.integers(1, 16),
    memory=st.integers(0, 8).map(lambda size: size * GIB),
    gpus=st.integers(0, 2),
    nodes=st.integers(1, 3),
    walltime=st.integers(1, 48).map(lambda hours: timedelta(hours=hours)),
)


@given(REQUESTS, FEDERATIONS)
def test_a_centre_that_fits_is_always_found(request: JobRequest, federation: list[Offer]) -> None:
    fitting = {offer.centre for offer in federation if not refusal(request, offer.at(NOW))}
    placed = place(request, federation, now=NOW)
    assert {one.offer.centre for one in placed.ranked} == fitting
    assert (placed.best is None) == (not fitting)


@given(REQUESTS, FEDERATIONS, offers())
def test_another_centre_never_makes_the_best_worse(
    request: JobRequest, federation: list[Offer], newcomer: Offer
) -> None:
    before, after = (place(request, some, now=NOW).best for some in (federation, [*federation, newcomer]))
    if before is not None:
        assert after is not None
        assert soonest(request, after) <= soonest(request, before)
        assert after.offer.centre in (before.offer.centre, newcomer.centre)


@given(REQUESTS, FEDERATIONS, st.randoms())
def test_the_order_of_offers_does_not_matter(request: JobRequest, federation: list[Offer], random: Random) -> None:
    shuffled = list(federation)
    random.shuffle(shuffled)
    assert place(request, federation, now=NOW) == place(request, shuffled, now=NOW)


@given(REQUESTS, FEDERATIONS)
def test_every_offer_is_ranked_or_refused_and_none_without_a_reason(
    request: JobRequest, federation: list[Offer]
) -> None:
    placed = place(request, federation, now=NOW)
    assert len(placed.ranked) + len(placed.refusals) == len(federation)
    assert all(one.reason for one in placed.ranked)
    assert all(one.reason for one in placed.refusals)
    assert placed.reason


@given(REQUESTS, FEDERATIONS)
def test_our_own_newer_submissions_never_make_a_centre_look_better(
    request: JobRequest, federation: list[Offer]
) -> None:
    for one in place(request, federation, now=NOW).ranked:
        bare = place(request, [replace(one.offer, pending=())], now=NOW).best
        assert bare is not None
        assert (bare.wait.chance, bare.fullness) <= (one.wait.chance, one.fullness)
        assert bare.cores_free >= one.cores_free >= 0


@given(REQUESTS, FEDERATIONS)
def test_more_walltime_never_costs_less(request: JobRequest, federation: list[Offer]) -> None:
    for one in place(request, federation, now=NOW).ranked:
        assert one.cost.micros >= one.cost_per_hour.micros >= 0
