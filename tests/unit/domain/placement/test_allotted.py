"""Tests what a job gets for its request: whole cores where cores have two threads, whole nodes where nodes are
allocated whole."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from scnet_hub.domain.centres.state import CentreStates
from scnet_hub.domain.jobs import PartitionLoad
from scnet_hub.domain.placement.placement import Offer, allotted, hourly_of, more_than_asked, place
from scnet_hub.domain.standard.centre import parse_centre
from scnet_hub.services.placement import quoting
from scnet_hub.units import credits

from .build import NOW, load, offer, request

PAGE = """
id = "alpha"
name = "Alpha"
transport = { kind = "local" }
session = { python = "/usr/bin/python3", directory = "/s" }
[[partition]]
name = "cpu"
cores = 8
nodes = 2
gpus = 2
tariff = { core_hour = 1, gpu_hour = 10 }
"""
HOUR = timedelta(hours=1)


def threads(**changes: Any) -> Offer:
    return offer(load=load(core_unit=2), **changes)


@pytest.mark.parametrize(
    ("unit", "node_gpus", "asked", "given"),
    [
        (1, 0, (3, 1, 1), (3, 1)),
        (2, 0, (1, 0, 1), (2, 0)),
        (2, 0, (2, 0, 1), (2, 0)),
        (2, 0, (3, 0, 1), (4, 0)),
        (2, 0, (2, 0, 2), (4, 0)),  # one core on each of two nodes
        (64, 4, (1, 0, 1), (64, 4)),
        (64, 4, (2, 1, 2), (128, 8)),
        (0, 0, (3, 0, 0), (3, 0)),
    ],
)
def test_a_partition_gives_cores_in_steps(
    unit: int, node_gpus: int, asked: tuple[int, int, int], given: tuple[int, int]
) -> None:
    assert PartitionLoad(name="p", core_unit=unit, node_gpus=node_gpus).allotted(*asked) == given


def test_a_request_is_given_more_only_where_its_place_says_so() -> None:
    one = request(cores=1)
    assert allotted(one, None) is one and allotted(one, load()) is one
    assert (allotted(one, load(core_unit=2)).cores, more_than_asked(one, offer())) == (2, "")
    whole = allotted(one, load(core_unit=8, node_gpus=2), "a100")
    assert (whole.cores, whole.gpus, whole.gpu_model) == (8, 2, "a100")


def test_the_price_of_a_place_is_that_of_what_is_given_there() -> None:
    assert hourly_of(request(cores=1), threads()) == credits(2) and hourly_of(request(cores=1), offer()) == credits(1)
    cheap = place(request(cores=1, walltime=HOUR), [threads(), offer("beta")], now=NOW)
    assert {one.offer.centre: one.cost for one in cheap.ranked} == {"alpha": credits(2), "beta": credits(1)}


def test_a_quote_and_a_hold_count_what_is_given_and_say_so() -> None:
    wanted, known = request(cores=1, walltime=HOUR, kind="batch"), CentreStates.of([parse_centre(PAGE, source="a")])
    best = place(wanted, [threads(gpus=2)], now=NOW).best
    assert best
    hold = quoting.hold_of(wanted, best, known, timedelta(), NOW)
    words = "Alpha, partition cpu gives a node's cores in steps of 2: asked for 1 core, allocated and paid for 2 cores."
    assert hold.amount >= credits(2) and hold.words == f"the most it may cost. {words}"
    assert quoting.would_pass(wanted, best, known, credits(1), NOW) < HOUR / 2


def test_a_whole_node_costs_its_gpus_too() -> None:
    wanted, known = request(cores=1, walltime=HOUR, kind="batch"), CentreStates.of([parse_centre(PAGE, source="a")])
    best = place(wanted, [offer(gpus=2, load=load(core_unit=8, node_gpus=2))], now=NOW).best
    assert best
    hold = quoting.hold_of(wanted, best, known, timedelta(), NOW)
    assert (
        hold.amount >= credits(28)
        and "asked for 1 core and 0 GPUs, allocated and paid for 8 cores and 2 GPUs" in hold.words
    )
