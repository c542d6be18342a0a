"""Tests that a board answers like `place` on the same offers, whatever changes and however time passes; and that it
lists fewer offers if there are many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest

from scnet_hub.domain.jobs import Backfill, Booking, JobRequest, PartitionLoad, Waiting
from scnet_hub.domain.placement.board import Board
from scnet_hub.domain.placement.placement import Calibration, Offer, Placement, Shape, expect, place
from scnet_hub.domain.standard.centre import Announcement, Maintenance

from .build import GIB, NOW, load, node, offer, request

SIZES = [
    request(cores=1, walltime=timedelta(minutes=30)), request(cores=4, walltime=timedelta(hours=2)),
    request(cores=8, nodes=2), request(cores=2, gpus=1), request(cores=2, centre="b"),
    request(cores=6, memory=12 * GIB), request(centres=("a", "d"), max_price=1.5), request(near="c"),
    request(partition="gpu"), request(centre="a", partition="cpu"), request(cores=4, centres=("b", "c"), near="b"),
    request(cores=4, near="a"), request(app="torch"), request(centre="b", centres=("a", "c")),
]  # fmt: skip


def some_load(random: Random) -> PartitionLoad:
    queued = random.choice((0, 0, 1, 3))
    nodes = tuple(
        node(f"n{number}", cores_used=random.choice((0, 2, 7, 8)), gpus=random.choice((0, 1))) for number in range(2)
    )
    running = tuple(
        Booking(ends_at=NOW + timedelta(seconds=random.randint(-60, 9000)), cores=random.randint(1, 8))
        for _ in range(3)
    )
    waiting = tuple(
        Waiting(cores=random.randint(1, 16), walltime=timedelta(hours=random.randint(1, 5))) for _ in range(queued)
    )
    every = random.choice((None, 30, 60, 300))
    backfill = (
        Backfill(NOW + timedelta(seconds=random.uniform(-90, 0)), timedelta(seconds=every), random.choice((None, 2)))
        if every
        else None
    )
    return load(
        *nodes,
        queued_jobs=queued,
        queued_cores=3 * queued,
        running_jobs=3,
        running=running,
        waiting=waiting,
        backfill=backfill,
    )


def some_offer(random: Random, centre: str, seconds: float) -> Offer:
    start = NOW + timedelta(seconds=random.randint(-500, 9000))
    window = Maintenance(start=start, end=start + timedelta(seconds=random.randint(1, 600)))
    word = Announcement(
        start=start,
        end=start + timedelta(seconds=random.randint(1, 600)),
        message="The cooling is repaired.",
        blocks_starts=True,
    )
    return offer(
        centre, load=some_load(random), taken_at=NOW + timedelta(seconds=seconds - random.randint(0, 60)),
        order=ord(centre), partition=random.choice(("cpu", "gpu")),
        pending=(Shape(random.randint(1, 4)),) * random.choice((0, 0, 1, 3)),
        maintenance=(window,) if random.random() < 0.3 else (), announcements=(word,) if random.random() < 0.2 else (),
        gpus=1, startup=random.choice((0.0, 5.0, 90.0)), state=random.choice(("up", "up", "up", "down")),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(40))
def test_it_answers_as_place_does(seed: int) -> None:
    random = Random(seed)
    board, offers, seconds = Board(shown=random.choice((1, 3, 99))), {}, 0.0
    calibration, startups = Calibration(), {}
    for _ in range(30):
        seconds += random.choice((0, 0, 0.4, 1, 7, 20, 60, 300))
        for centre in random.sample("abcdef", random.randint(0, 3)):
            one = some_offer(random, centre, seconds)
            offers[centre, one.partition] = one
            board.put([one])
        if offers and random.random() < 0.1:
            gone = random.choice(sorted(offers))[0]
            offers = {place: one for place, one in offers.items() if place[0] != gone}
            board.drop(gone)
        if random.random() < 0.1:
            startups = {centre: random.choice((1.0, 30.0, 200.0)) for centre in random.sample("abcdef", 3)}
        wanted = random.choice(SIZES)
        closed = dict.fromkeys(random.sample("abcdef", random.choice((0, 0, 1, 4))), "you have no account there")
        taken = startups if wanted.app else {}
        now = NOW + timedelta(seconds=seconds)
        expected = place(
            wanted, [as_for(one, closed, taken) for one in offers.values()], now=now, forecast=board.forecast
        )
        assert_alike(board.place(wanted, now=now, refused=closed, startups=taken), expected, board.shown)
        if expected.best and random.random() < 0.5:
            calibration.learn(expected.best.wait, expected.best.offer.centre, random.expovariate(0.01))
        if random.random() < 0.1:
            board.expect(calibration.forecast())
        if random.random() < 0.3:
            board.keep_up(NOW + timedelta(seconds=seconds))


def assert_alike(answer: Placement, expected: Placement, shown: int) -> None:
    """As many as are shown are the same."""
    assert answer.ranked == expected.ranked[: shown + 1]
    assert (len(answer.ranked) + answer.more, len(answer.refusals) + answer.more_refused) == (
        len(expected.ranked),
        len(expected.refusals),
    )
    assert set(answer.refusals) <= set(expected.refusals) and len(answer.refusals) == min(shown, len(expected.refusals))
    assert not answer.ranked or answer.ranked[0].wait == expected.ranked[0].wait
    assert shown < 99 or answer == expected


def as_for(one: Offer, closed: Mapping[str, str], startups: Mapping[str, float]) -> Offer:
    return replace(one, refused=closed.get(one.centre, one.refused), startup=startups.get(one.centre, one.startup))


def test_what_is_closed_to_a_person_is_refused_with_the_reason_and_open_to_others() -> None:
    board = Board()
    offers = [offer("alpha"), offer("beta")]
    board.put(offers)
    ada = board.place(request(), now=NOW, refused={"alpha": "you have no account there"})
    assert ada == place(request(), [replace(offers[0], refused="you have no account there"), offers[1]], now=NOW)
    assert board.place(request(), now=NOW) == place(request(), offers, now=NOW)


def test_a_large_federation_lists_the_first_and_counts_the_rest() -> None:
    board = Board(shown=3)
    board.put(
        [offer(f"c{number}", order=number) for number in range(10)]
        + [offer(f"d{number}", state="down") for number in range(10)]
    )
    answer = board.place(request(), now=NOW)
    assert answer.best and answer.best.offer.centre == "c0"
    assert (len(answer.runners_up), answer.more, len(answer.refusals), answer.more_refused) == (3, 6, 3, 7)
    nowhere = board.place(request(cores=99), now=NOW)
    assert nowhere.best is None and nowhere.reason.endswith("and 17 more.")
    assert len(board.place(request(), now=NOW, whole=True).ranked) == 10


def test_what_somebody_asked_for_by_name_is_listed_however_large_the_federation() -> None:
    board = Board(shown=3)
    offers = [offer(f"c{number}", order=number, state="down" if number == 8 else "up") for number in range(10)]
    board.put(offers)
    wanted = request(centre="c8")
    assert board.place(wanted, now=NOW).reason == place(wanted, offers, now=NOW).reason
    assert "c8" in [one.centre for one in board.place(wanted, now=NOW).refusals]
    near = board.place(request(near="c9"), now=NOW)
    assert near.best == place(request(near="c9"), offers, now=NOW).best


def test_only_what_changed_is_judged_again() -> None:
    judged = []

    def counting(wanted: JobRequest, one: Offer) -> str:
        judged.append(one.centre)
        return ""

    board = Board(rules=(counting,))
    board.put([offer(f"c{number}") for number in range(50)])
    board.place(request(), now=NOW)
    assert len(judged) == 50
    board.put([offer("c7", load=load(node(cores_used=8)))])
    board.place(request(person="grace"), now=NOW + timedelta(seconds=1))
    assert judged[50:] == ["c7"]


def test_what_is_new_is_judged_before_anybody_asks_for_what_was_asked_of_late() -> None:
    judged = []

    def counting(wanted: JobRequest, one: Offer) -> str:
        judged.append((wanted.cores, one.centre))
        return ""

    board = Board(rules=(counting,))
    board.put([offer(f"c{number}") for number in range(9)])
    for cores, asked in ((2, NOW), (4, NOW + timedelta(minutes=10))):
        board.place(request(cores=cores), now=asked)
    del judged[:]
    board.put([offer("c7", load=load(node(cores_used=8)))])
    board.keep_up(NOW + timedelta(minutes=10))
    assert judged == [(4, "c7")]
    assert board.place(request(cores=4), now=NOW + timedelta(minutes=10)).best and judged == [(4, "c7")]
    calibration = Calibration()
    for _ in range(30):
        calibration.learn(expect(request(), offer("c1"), NOW), "c1", 3.0)
    board.expect(calibration.forecast())
    board.keep_up(NOW + timedelta(minutes=10))
    assert len(judged) == 1 + 9
