"""What a page promises of a partition, held against what the scheduler has."""

from datetime import timedelta
from typing import Any

import pytest

from scnet_hub.enrolment.working import shortcomings
from scnet_hub.jobs import NodeLoad, PartitionLoad
from scnet_hub.standard.centre import PartitionSpec

GIB = 2**30


def live(**changes: Any) -> PartitionLoad:
    node = NodeLoad(name="n1", cores=64, cores_used=64, memory=250 * GIB, gpus=4, gpu_model="a100", up=False)
    facts: dict[str, Any] = {"name": "gpu", "nodes": (node, node), "max_walltime": timedelta(days=1)}
    return PartitionLoad(**facts | changes)


def promise(**changes: Any) -> PartitionSpec:
    facts: dict[str, Any] = {
        "name": "gpu",
        "nodes": 2,
        "cores": 64,
        "memory": "250G",
        "gpus": 4,
        "gpu_model": "a100",
        "max_walltime": "24h",
    }
    return PartitionSpec(**facts | changes)


def test_a_kept_promise_has_no_shortcomings_even_when_nodes_are_full_or_down() -> None:
    assert shortcomings(promise(), live()) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"gpus": 8}, "has no node of 8 GPUs"),
        ({"gpu_model": "h100"}, "has a100, no h100"),
        ({"cores": 128}, "has no node of 128 cores"),
        ({"memory": "500G"}, "has no node of 500 GiB"),
        ({"nodes": 3}, "has 2 nodes, not 3"),
        ({"max_walltime": "48h"}, "ends jobs after 24 h, not 2 d"),
    ],
)
def test_each_broken_promise_is_said(changes: dict[str, Any], words: str) -> None:
    assert shortcomings(promise(**changes), live()) == [words]


def test_what_a_scheduler_does_not_say_is_not_held_against_it() -> None:
    silent = NodeLoad(name="n1", cores=64, cores_used=0, memory=0, gpus=4, gpu_model="")
    assert shortcomings(promise(), live(nodes=(silent, silent), max_walltime=None)) == []
