"""Tests `place`: the best place, the runners-up, and that every reason is available."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from scnet_hub.domain.centres.state import CentreState
from scnet_hub.domain.jobs import LoadSnapshot
from scnet_hub.domain.placement.placement import POLICIES, Offer, Placement, Shape, offers_of, place, refused, soonest
from scnet_hub.domain.placement.policies import Usual
from scnet_hub.domain.standard.centre import parse_centre
from scnet_hub.errors import NoPlacement
from scnet_hub.units import credits

from .build import NOW, load, node, offer, request

BUSY = load(node(cores_used=8), queued_jobs=2, queued_cores=8)
FULL = load(node(cores_used=8))


def order(placed: Placement) -> list[str]:
    return [one.offer.centre for one in placed.ranked]


def test_who_can_start_it_now_comes_before_who_is_emptier() -> None:
    nearly_full = offer("alpha", load=load(node("n1", cores_used=7), node("n2", cores_used=8)))
    empty_but_in_pieces = offer(
        "beta", load=load(*(node(f"n{i}", cores_used=7, cores=7) for i in range(3)), node("x", cores=8, cores_used=8))
    )
    assert order(place(request(), [empty_but_in_pieces, nearly_full], now=NOW)) == ["alpha", "beta"]


def test_now_then_soon_then_later() -> None:
    hole = load(node(cores_used=4), queued_jobs=1, queued_cores=8)
    offers = [offer("later", load=BUSY), offer("next", load=FULL), offer("hole", load=hole), offer("now")]
    assert order(place(request(), offers, now=NOW)) == ["now", "hole", "next", "later"]


def test_the_emptier_then_the_cheaper_then_the_first_in_the_list() -> None:
    half = load(node(cores_used=4))
    offers = [
        offer("half", load=half, core_hour=credits("0.1")),
        offer("dear", core_hour=credits(2)),
        offer("second", order=2),
        offer("first", order=1),
    ]
    assert order(place(request(), offers, now=NOW)) == ["first", "second", "dear", "half"]


def test_a_class_of_twenty_does_not_herd() -> None:
    """One snapshot, equal centres: our own submissions spread the requests evenly."""
    pending: dict[str, tuple[Shape, ...]] = {"a": (), "b": (), "c": (), "d": ()}
    for _ in range(20):
        best = place(request(), [offer(name, pending=own) for name, own in pending.items()], now=NOW).best
        assert best is not None
        pending[best.offer.centre] += (Shape(1),)
    assert [len(own) for own in pending.values()] == [5, 5, 5, 5]


def test_gpus_are_left_to_those_who_need_them() -> None:
    with_gpus = offer("gpus", gpus=4, load=load(node(gpus=4)))
    half_full = offer("plain", load=load(node(cores_used=4)))
    assert order(place(request(), [with_gpus, half_full], now=NOW)) == ["plain", "gpus"]


def test_a_person_returns_to_their_files_unless_that_place_is_much_fuller() -> None:
    fuller, much_fuller = (load(node(cores_used=used), node("n2")) for used in (2, 4))
    for home, first in ((fuller, ["beta", "alpha"]), (much_fuller, ["alpha", "beta"])):
        placed = place(request(near="beta"), [offer("alpha"), offer("beta", load=home)], now=NOW)
        assert order(placed) == first
    back = place(request(near="beta"), [offer("alpha"), offer("beta")], now=NOW)
    assert [one.reason for one in back.runners_up] == ["would start now, but your files are at Beta"]


def test_a_federation_may_weigh_the_price_against_the_room() -> None:
    offers = [offer("alpha", core_hour=credits(3)), offer("beta", load=load(node(cores_used=4), node("n2")))]
    assert order(place(request(), offers, now=NOW)) == ["alpha", "beta"]
    assert order(place(request(), offers, now=NOW, policy=partial(soonest, weights=Usual(price=4.0)))) == [
        "beta",
        "alpha",
    ]


def test_the_reason_says_start_room_price_and_runner_up() -> None:
    placed = place(request(cores=2, walltime=timedelta(hours=3)), [offer("alpha"), offer("beta", load=BUSY)], now=NOW)
    assert placed.reason == (
        "Alpha, partition cpu: would start now; 16 of 16 cores free; at most 6.00 credits for 3 h. "
        "Runner-up: Beta, partition cpu, would start behind 2 queued jobs."
    )
    assert placed.best is not None and placed.best.reason == placed.reason


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (offer("beta", load=BUSY), "would start behind 2 queued jobs"),
        (offer("beta", load=load(node(cores_used=4))), "would start now, but it is 50 % full instead of 0 %"),
        (offer("beta", core_hour=credits(2)), "would start now, but it costs 2.00 credits instead of 1.00 credits"),
        (
            offer("beta", gpus=1, load=load(node(gpus=1))),
            "would start now, but its GPUs are kept for sessions that need them",
        ),
        (offer("beta"), "would start now, but it is later in the list of centres"),
    ],
)
def test_a_runner_up_says_what_it_is_behind_for(other: Offer, reason: str) -> None:
    placed = place(request(), [offer("alpha"), other], now=NOW)
    assert [one.reason for one in placed.runners_up] == [reason]


def test_nowhere_lists_every_refusal_and_raises_nothing() -> None:
    placed = place(request(cores=64), [offer("alpha"), offer("beta", cores=16)], now=NOW)
    assert placed.best is None
    assert [one.reason for one in placed.refusals] == [
        "needs 64 cores on one node; the largest has 8",
        "needs 64 cores on one node; the largest has 16",
    ]
    error = refused(placed)
    assert isinstance(error, NoPlacement) and "the largest has 16" in str(error)
    assert len(error.details["refusals"]) == 2


def test_a_start_that_asks_for_a_centre_reads_that_centres_reason_only() -> None:
    offers = [
        offer("alpha"),
        offer("beta"),
        offer("gamma"),
        replace(offer("delta"), state="down", why="Delta has not answered since 07:49"),
    ]
    placed = place(request(centre="delta"), offers, now=NOW)
    assert placed.reason.startswith("The centre that you asked for cannot take this now: ")
    assert "has not answered since 07:49" in placed.reason and "you asked for delta" not in placed.reason
    assert len(placed.refusals) == 4


def test_an_empty_federation_says_so() -> None:
    assert place(request(), [], now=NOW).reason == "The federation has no centres yet."


def test_the_cheapest_policy_waits_for_the_price() -> None:
    offers = [offer("alpha", core_hour=credits(2)), offer("beta", load=BUSY)]
    placed = place(request(), offers, now=NOW, policy=POLICIES["cheapest"])
    assert order(placed) == ["beta", "alpha"]
    assert placed.runners_up[0].reason == "would start now, but it costs 2.00 credits instead of 1.00 credits"


def test_a_pinned_centre_is_the_only_one() -> None:
    placed = place(request(centre="beta"), [offer("alpha"), offer("beta", load=BUSY)], now=NOW)
    assert order(placed) == ["beta"] and placed.reason.endswith("You chose this centre.")


def test_the_cost_is_for_the_whole_walltime() -> None:
    gpu = offer(gpus=2, load=load(node(gpus=2)))
    best = place(request(cores=4, gpus=1, walltime=timedelta(minutes=90)), [gpu], now=NOW).best
    assert best is not None
    assert (best.cost, best.cost_per_hour) == (credits(21), credits(14))


def test_offers_come_from_the_spec() -> None:
    spec = parse_centre(SPEC, source="test")
    first, second = offers_of(spec, None, pending={"gpu": (Shape(1),)}, order=3)
    assert (first.centre, first.partition, first.cores, first.core_hour) == ("alpha", "cpu", 16, credits("0.5"))
    assert (second.gpus, second.gpu_hour, second.pending) == (2, credits(4), (Shape(1),))
    assert first.order < second.order < offers_of(spec, None, order=4)[0].order
    assert first.max_age == timedelta(seconds=75)


def test_a_centre_that_answers_slowly_and_so_is_asked_rarely_stays_in() -> None:
    known = CentreState(parse_centre(SPEC, source="test"), 0, tick=90.0)
    known.update(LoadSnapshot(taken_at=NOW))
    late = NOW + timedelta(seconds=190)
    assert known.state(late) == "up" and {one.max_age for one in known.offers()} == {timedelta(seconds=195)}
    assert known.state(late + timedelta(seconds=6)) == "stale"


def test_the_decision_is_the_same_when_replayed() -> None:
    offers = [offer("alpha"), offer("beta", load=BUSY)]
    once = place(request(), offers, now=NOW)
    assert once == place(replace(once.request), [one.offer for one in once.ranked], now=once.decided_at)


SPEC = """
id = "alpha"
name = "Alpha"
[transport]
kind = "local"
[session]
python = "python3"
directory = "/srv/scnet"
[[partition]]
name = "cpu"
cores = 16
tariff = { core_hour = 0.5 }
[[partition]]
name = "gpu"
cores = 8
gpus = 2
tariff = { gpu_hour = 4 }
"""
