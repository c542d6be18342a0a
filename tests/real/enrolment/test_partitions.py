"""Tests the comparison of a page's statements about a partition with the scheduler."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from scnet_hub.domain.jobs import LoadSnapshot, NodeLoad, PartitionLoad
from scnet_hub.domain.standard.centre import PartitionSpec
from scnet_hub.enrolment.findings import Doubt, Problem
from scnet_hub.enrolment.scheduler_hops import charges, shortcomings

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


# ---- what is charged


class Asked:
    """A centre that says this of its load."""

    def __init__(self, **facts: Any) -> None:
        self.taken = LoadSnapshot(taken_at=datetime(2026, 11, 29, tzinfo=UTC), **facts)

    async def load(self) -> LoadSnapshot:
        return self.taken


async def charged(*partitions: PartitionSpec, **facts: Any) -> str:
    return await charges(cast(Any, SimpleNamespace(centre=Asked(**facts), spec=SimpleNamespace(partition=partitions))))


async def test_a_centre_whose_accounting_tracks_no_gpus_is_told_what_to_set() -> None:
    with pytest.raises(Problem, match="does not track gres/gpu, gres/dcu") as caught:
        await charged(promise(), untracked=("gpu", "dcu"), partitions={"gpu": live()})
    assert "Add gres/gpu, gres/dcu to AccountingStorageTRES in slurm.conf" in caught.value.hint
    assert await charged(promise(gpus=0), untracked=("gpu",), partitions={"gpu": live()}), "it offers none"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "a session is given, and charged for, exactly the requested resources"),
        (
            {"core_unit": 2},
            "partition gpu gives the cores of a node in steps of 2: a session of 1 core holds, and is charged "
            "for, 2 cores",
        ),
        (
            {"core_unit": 64, "node_gpus": 4},
            "steps of 64: a session of 1 core holds, and is charged for, 64 cores and 4 GPUs",
        ),
    ],
)
async def test_what_one_core_costs_is_said(changes: dict[str, Any], words: str) -> None:
    assert (await charged(promise(), partitions={"gpu": live(**changes)})).endswith(words)


async def test_words_that_are_in_no_manual_are_a_doubt() -> None:
    with pytest.raises(Doubt, match="node state 'dreaming'"):
        await charged(promise(), partitions={"gpu": live()}, strange=("node state 'dreaming'",))
