"""Tests that a cluster's view acts on the cluster and answers in words."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import start_new_kernel

import scnet_hub as scnet
from scnet_hub.client.clusters.cluster import FederatedCluster
from tests.builders.fakes.broker import FakeBroker, until

REPO = Path(__file__).resolve().parents[3]


@pytest.fixture
def cluster(broker: FakeBroker) -> Iterator[FederatedCluster]:
    made = scnet.dask(cores=2, job_cores=1, client=broker.client(), tick=(0.2, 0.5))
    made._repr_mimebundle_()
    yield made
    made.close()


def say(cluster: FederatedCluster, **body: Any) -> dict[str, Any]:
    """What the view shows once the cluster has handled this message of it."""
    before = cluster._acted
    cluster._view._handle_custom_msg(body, [])
    until(lambda: cluster._acted > before, 10, pause=0.01)
    return dict(until(lambda: (found := cluster._view.state)["cluster"]["controls"]["acted"] > before and found, 10))


def test_scale_adapt_and_stop_act_and_are_noted(broker: FakeBroker, cluster: FederatedCluster) -> None:
    shown = say(cluster, say="adapt", minimum=1, maximum=3)
    assert shown["cluster"]["controls"]["adaptive"] == [1, 3]
    assert any("Adaptive from 1 to 3 jobs, as asked in the view." in note for note in shown["cluster"]["notes"])
    shown = say(cluster, say="scale", jobs=4)
    assert shown["cluster"]["controls"] | {"acted": 0} == {"jobs": 4, "adaptive": None, "most": 1000, "acted": 0}
    broker.wait(lambda: len(broker.live()) == 4)
    until(lambda: [row["asked"] for row in cluster._view.state["cluster"]["centres"]] == ["4"], 10)
    shown = say(cluster, say="stop")
    assert shown["closed"] and cluster.status.name == "closed" and not broker.live()


@pytest.mark.parametrize(
    ("body", "title"),
    [
        ({"say": "scale", "jobs": -1}, "jobs: -1 is not a whole number of at least 0."),
        ({"say": "scale", "jobs": 2.5}, "jobs: 2.5 is not a whole number of at least 0."),
        ({"say": "scale", "jobs": None}, "scale: the number of jobs is missing."),
        ({"say": "scale", "jobs": 10**6}, "1,000,000 jobs are too many: a cluster has at most 1,000."),
        ({"say": "adapt", "minimum": 9, "maximum": 2}, "adapt: from 9 to 2 jobs is not possible."),
        ({"say": "adapt", "minimum": "<b>", "maximum": 2}, "minimum: '<b>' is not a whole number of at least 0."),
    ],
)
def test_a_refusal_is_a_sentence_in_the_view_and_changes_nothing(
    cluster: FederatedCluster, body: dict[str, Any], title: str
) -> None:
    shown = say(cluster, **body)
    assert shown["problem"]["title"] == title
    assert shown["cluster"]["controls"]["jobs"] == 2 and shown["cluster"]["controls"]["adaptive"] is None
    assert say(cluster, say="scale", jobs=2)["problem"] is None


def test_a_scale_that_the_budget_does_not_allow_is_refused_in_the_view(cluster: FederatedCluster) -> None:
    cluster.budget = 0.1
    assert say(cluster, say="scale", jobs=5)["problem"]["title"].startswith("The cluster's budget of 0.10 credits")


def test_words_that_no_view_says_change_nothing(cluster: FederatedCluster) -> None:
    for body in (None, [], {"say": 3}, {"say": "format"}, {"say": "here"}):
        cluster._view._handle_custom_msg(body, [])
    say(cluster, say="scale", jobs=3)
    assert cluster._acted == 1 and len(cluster.worker_spec) == 3


def test_a_broker_that_is_silent_does_not_stop_the_view(broker: FakeBroker, cluster: FederatedCluster) -> None:
    broker.silent = True
    assert say(cluster, say="scale", jobs=3)["cluster"]["controls"]["jobs"] == 3
    until(lambda: (cluster._view.state["problem"] or {}).get("passing"), 10)
    broker.silent = False
    until(lambda: cluster._view.state["problem"] is None, 20)
    broker.wait(lambda: len(broker.live()) == 3)


async def test_in_a_coroutine_the_view_acts_too(broker: FakeBroker) -> None:
    options = {"client": broker.client(), "job_cores": 1, "tick": (0.2, 0.5), "asynchronous": True}
    async with scnet.dask(cores=1, **options) as cluster:
        cluster._repr_mimebundle_()
        for number, body in enumerate(({"say": "scale", "jobs": 2}, {"say": "stop"}), 1):
            cluster._view._handle_custom_msg(body, [])
            await asyncio.to_thread(until, lambda number=number: cluster._acted >= number, 10, 0.01)
        assert cluster.status.name == "closed" and not broker.live()


CELL = """
import time
from pathlib import Path
import scnet_hub as scnet
from IPython.display import display
cluster = scnet.dask(cores=1, tick=(0.2, 0.5))
display(cluster)
while not Path("go on").exists():
    time.sleep(0.05)
"""


@pytest.mark.slow
def test_while_a_cell_runs_the_view_stays_current_and_afterwards_its_request_is_handled(
    broker: FakeBroker, tmp_path: Path
) -> None:
    env = {**os.environ, **broker.environment(), "PYTHONPATH": str(REPO), "IPYTHONDIR": str(tmp_path)}
    manager, kernel = start_new_kernel(kernel_name="python3", env=env, cwd=str(tmp_path))
    try:
        cell = kernel.execute(CELL)

        def shown(*kinds: str) -> Iterator[tuple[str, dict[str, Any]]]:
            """The comm of each message with a cluster's state, and that state; the cell must still run."""
            while True:
                message = kernel.get_iopub_msg(timeout=60)
                content = message["content"]
                assert message["msg_type"] != "error", content
                ends = content.get("execution_state") == "idle" and message["parent_header"]["msg_id"] == cell
                assert "comm_open" not in kinds or not ends
                state = content.get("data", {}).get("state", {}).get("state", {})
                if message["msg_type"] in kinds and "cluster" in state:
                    yield content["comm_id"], state["cluster"]

        view, _ = next(shown("comm_open"))
        broker.update("s0", place_in_queue=9)
        next(one for _, one in shown("comm_open", "comm_msg") if "number 9" in str(one["jobs"]))
        said = {"method": "custom", "content": {"say": "scale", "jobs": 3}}
        kernel.shell_channel.send(kernel.session.msg("comm_msg", {"comm_id": view, "data": said}))
        (tmp_path / "go on").touch()
        next(one for _, one in shown("comm_msg") if one["controls"]["acted"] == 1 and one["controls"]["jobs"] == 3)
        broker.wait(lambda: len(broker.live()) == 3)
    finally:
        kernel.stop_channels()
        manager.shutdown_kernel(now=True)
