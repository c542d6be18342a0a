"""Tests the words that users of Dask, dask-jobqueue and dask-gateway know: what is taken does what they expect, what is
not taken is refused in a sentence."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from typing import Any

import dask
import pytest

import scnet_hub as scnet
from scnet_hub.client.clusters.cluster import FederatedCluster
from scnet_hub.client.clusters.settings import ELSEWHERE, OURS, complete
from scnet_hub.client.clusters.sizes import MOST_JOBS, Size, split
from scnet_hub.errors import BadOption
from scnet_hub.node.dask_worker import shortened
from tests.builders.fakes.broker import FakeBroker

GIB = 2**30
Make = Callable[..., FederatedCluster]


@pytest.fixture
def make(broker: FakeBroker) -> Iterator[Make]:
    made = []

    def build(**options: Any) -> FederatedCluster:
        made.append(scnet.dask(client=broker.client(), **{"tick": (0.2, 0.5), **options}))
        return made[-1]

    yield build
    for cluster in made:
        cluster.close()


def sizes(cluster: FederatedCluster) -> list[Size]:
    return [entry["size"] for entry in cluster.worker_spec.values()]


@pytest.mark.parametrize(
    ("asked", "jobs"),
    [
        ({"n": 3}, [(4, 8)] * 3),
        ({"jobs": 1}, [(4, 8)]),
        ({"cores": 11}, [(4, 8), (4, 8), (3, 6)]),
        ({"cores": 7}, [(4, 8)] * 2),
        ({"memory": "20G"}, [(4, 8)] * 3),
        ({"memory": 8 * GIB}, [(4, 8)]),
        ({"jobs": 0}, []),
        ({}, [(4, 8)] * 2),
    ],
)
def test_scale_counts_workers_jobs_cores_and_memory(make: Make, asked: dict[str, Any], jobs: list[Any]) -> None:
    cluster = make(cores=8, memory="16G")
    cluster.scale(**asked)
    assert [(size.cores, size.memory // GIB) for size in sizes(cluster)] == jobs


def test_scale_without_words_asks_again_for_what_was_asked_for(make: Make) -> None:
    cluster = make(cores=4, gpus=2)
    cluster.scale(3)
    cluster.worker_spec.popitem()
    cluster.scale()
    assert sizes(cluster) == [Size(2, 0, 1)] * 3


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"n": -1}, "n: -1 is not a whole number of at least 0."),
        ({"n": 1.5}, "n: 1.5 is not a whole number of at least 0."),
        ({"n": True}, "n: True is not a whole number"),
        ({"jobs": "2"}, "jobs: '2' is not a whole number"),
        ({"cores": -4}, "cores: -4 is not a whole number"),
        ({"memory": "much"}, "memory: 'much' is not a memory size."),
        ({"memory": -1}, "memory: -1 is not a whole number"),
        ({"n": 1, "cores": 4}, "scale: give one of n and cores."),
        ({"n": 10**6}, f"1,000,000 jobs are too many: a cluster has at most {MOST_JOBS:,}."),
        ({"cores": 10**7}, "2,500,000 jobs are too many"),
        ({"memory": "900T"}, "jobs are too many"),
    ],
)
def test_amounts_that_are_none_are_refused_and_change_nothing(make: Make, asked: dict[str, Any], words: str) -> None:
    cluster = make(cores=4, memory="8G")
    with pytest.raises(BadOption) as caught:
        cluster.scale(**asked)
    assert words in str(caught.value) and sizes(cluster) == [Size(4, 8 * GIB)]


@pytest.mark.parametrize(
    ("asked", "bounds"),
    [
        ({}, (0, 2)),
        ({"minimum": 1, "maximum": 3}, (1, 3)),
        ({"minimum_jobs": 1, "maximum_jobs": 2}, (1, 2)),
        ({"minimum_cores": 5, "maximum_cores": 13}, (2, 3)),
        ({"minimum_memory": "1G", "maximum_memory": "33G"}, (1, 4)),
        ({"maximum": math.inf}, (0, 6)),  # 25 cores of quota
    ],
)
def test_adapt_takes_bounds_in_all_units(
    broker: FakeBroker, make: Make, asked: dict[str, Any], bounds: tuple[int, int]
) -> None:
    broker.balances[0]["quota"]["cores"]["limit"] = 25
    adaptive = make(cores=8, memory="16G").adapt(**asked)
    assert (adaptive.minimum, adaptive.maximum) == bounds


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"maximum": -1}, "maximum: -1 is not a whole number"),
        ({"maximum": 2.5}, "maximum: 2.5 is not a whole number"),
        ({"minimum": 9}, "adapt: from 9 to 2 jobs is not possible."),
        ({"minimum": 1, "minimum_cores": 4}, "adapt: give one of minimum and minimum_cores."),
        ({"active": True}, "adapt takes no active."),
    ],
)
def test_bounds_that_are_none_are_refused(make: Make, asked: dict[str, Any], words: str) -> None:
    with pytest.raises(BadOption) as caught:
        make(cores=8).adapt(**asked)
    assert words in str(caught.value)


def test_workers_are_counted_too() -> None:
    assert split(None, workers=3, most=2) == [Size(2)] * 3
    assert split(10, workers=4) == [Size(3), Size(3), Size(2), Size(2)]
    assert split(None, gpus=2) == [Size(4, 0, 1)] * 2
    with pytest.raises(BadOption, match="contradict"):
        split(None, gpus=2, workers=3)
    with pytest.raises(BadOption, match="workers: 0 is not a whole number of at least 1"):
        split(None, workers=0)


@pytest.mark.parametrize("name", ["n_workers", "queue", "processes", "speed", "options"])
def test_other_tools_words_are_refused_with_ours(make: Make, name: str) -> None:
    with pytest.raises(BadOption) as caught:
        make(**{name: 2})
    assert str(caught.value) == f"scnet.dask() takes no {name!r}."
    assert caught.value.hint.startswith("Use " if name in ELSEWHERE else "Options: cores, memory, ")


def test_no_option_of_ours_is_in_the_list_of_other_tools_words() -> None:
    known = {*OURS, *complete({}, {}, FederatedCluster)[1]}
    assert not known & set(ELSEWHERE)


def test_defaults_come_from_dasks_configuration(broker: FakeBroker, make: Make) -> None:
    with dask.config.set({"scnet": {"cores": 2, "job-cores": 1, "walltime": "2h", "idle_timeout": "5m"}}):
        cluster = make()
        assert sizes(cluster) == [Size(1)] * 2 and cluster.scheduler.idle_timeout == 300
        assert sizes(make(cores=1)) == [Size(1)]
        assert {one["walltime"] for one in broker.payloads.values()} == {"7200s"}
    with dask.config.set({"scnet": {"queue": "long"}}), pytest.raises(BadOption, match="Dask's configuration takes no"):
        make()


async def test_in_a_coroutine(broker: FakeBroker) -> None:
    broker.hold = False
    options = {"client": broker.client(), "job_cores": 1, "tick": (0.2, 0.5), "asynchronous": True}
    async with scnet.dask(cores=2, **options) as cluster, cluster.get_client() as client:
        await client.wait_for_workers(2, timeout=60)
        assert await client.submit(sum, range(10)) == 45
        await cluster.scale(1)
        assert (await cluster.logs())[next(iter(cluster.worker_spec))].count("Worker") > 0
        cluster.adapt(maximum=2)
    await asyncio.to_thread(broker.wait, lambda: not broker.live())
    with pytest.raises(BadOption):
        await scnet.dask(cores=2, **options | {"walltime": "soon"})


async def test_a_refusal_in_a_coroutine_is_the_brokers_and_leaves_nothing(broker: FakeBroker) -> None:
    broker.refusals[""] = BadOption("Not today.")
    with pytest.raises(BadOption, match="Not today"):
        await scnet.dask(cores=2, client=broker.client(), asynchronous=True)
    assert not broker.sessions


def test_the_job_script_shows_the_command_and_no_key(make: Make) -> None:
    cluster = make(cores=4, memory="8G")
    script = cluster.job_script()
    assert script.startswith("#!/bin/sh\n# 4 cores, 0 GPUs, 8589934592 bytes of memory, walltime 3600s\n")
    assert (
        "python -m distributed.cli.dask_worker" in script and "PRIVATE" not in script and "OMP_NUM_THREADS=1" in script
    )


def test_a_worker_that_starts_again_has_only_the_rest_of_its_lifetime() -> None:
    assert shortened(["python", "--lifetime", "3300s", "--name", "a"], 300.4) == (
        ["python", "--lifetime", "3000s", "--name", "a"]
    )
    assert shortened(["python", "--lifetime", "30s"], 300)[-1] == "10s"
    assert shortened(["python"], 300) == ["python"]
