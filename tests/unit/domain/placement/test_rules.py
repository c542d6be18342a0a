"""Tests that every rule refuses in a sentence that names the limit, and accepts requests just within it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from scnet_hub.domain.placement.rules import refusal

from .build import GIB, NOW, load, node, offer, request

REFUSED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"centre": "beta"}, {}, "you asked for beta"),
    ({"partition": "gpu"}, {}, "you asked for partition gpu"),
    ({}, {"refused": "your project has no allocation here"}, "your project has no allocation here"),
    ({}, {"state": "down", "why": "its login node does not answer"}, "its login node does not answer"),
    ({}, {"state": "down"}, "the centre is down"),
    ({}, {"load": None, "taken_at": None}, "the centre has not reported its load yet"),
    ({}, {"state": "unknown"}, "the centre has not reported its load yet"),
    ({}, {"load": load(up=False)}, "the centre has closed partition cpu"),
    ({}, {"taken_at": NOW - timedelta(minutes=5)}, "its last answer is 5 min old; the limit is 1 min"),
    ({}, {"state": "stale"}, "its last answer is too old"),
    ({"cores": 64}, {}, "needs 64 cores on one node; the largest has 8"),
    ({"cores": 20, "nodes": 2}, {}, "needs 10 cores on one node; the largest has 8"),
    ({"gpus": 1}, {}, "needs 1 GPU on one node; it has no GPU"),
    ({"gpus": 4}, {"gpus": 2}, "needs 4 GPUs on one node; the largest has 2"),
    ({"gpus": 1, "gpu_model": "a100"}, {"gpus": 2, "gpu_model": "k100"}, "needs a a100 GPU; it has k100"),
    ({"gpus": 1}, {"gpus": 2, "gpus_priced": False}, "its GPUs have no price: ask its centre's administrators to set "
    "it"),
    ({"memory": 32 * GIB}, {}, "needs 32 GiB of memory on one node; the largest has 16 GiB"),
    ({"cores": 8}, {"memory_per_core": 4 * GIB},
     "needs 32 GiB of memory on one node (4 GiB per core, as the request names no amount); the largest has 16 GiB"),
    ({"cores": 3, "nodes": 3}, {}, "needs 3 nodes; it has 2"),
    ({"walltime": timedelta(days=3)}, {}, "needs 3 d; the limit is 24 h"),
    ({"walltime": timedelta(hours=3)}, {"load": load(max_walltime=timedelta(hours=2))}, "needs 3 h; the limit is 2 h"),
    ({"cores": 8}, {"load": load(node("n1", up=False), node("n2", cores=4))},
     "needs 1 node of that size; of its 1 working nodes, 0 can take it"),
    ({"centres": ("beta", "gamma")}, {}, "project sea may use beta and gamma only"),
    ({"cores": 4, "max_price": 3.5}, {}, "costs 4.00 credits an hour; the limit is 3.50 credits"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "there", "reason"), REFUSED, ids=[reason[:40] for *_, reason in REFUSED])
def test_a_refusal_names_the_limit(asked: dict[str, Any], there: dict[str, Any], reason: str) -> None:
    assert refusal(request(**asked), offer(**there).at(NOW)) == reason


@pytest.mark.parametrize(
    ("asked", "there"),
    [
        ({}, {}),
        ({"cores": 8, "memory": 16 * GIB, "walltime": timedelta(days=1)}, {}),
        ({"cores": 16, "nodes": 2, "memory": 32 * GIB}, {}),
        ({"centre": "alpha", "partition": "cpu"}, {}),
        ({"gpus": 2, "gpu_model": "A100"}, {"gpus": 2, "gpu_model": "a100", "load": load(node(gpus=2))}),
        ({"memory": 64 * GIB}, {"memory": 0, "load": load(node(memory=0))}),
        ({}, {"taken_at": NOW - timedelta(seconds=75)}),
        ({}, {"taken_at": NOW + timedelta(hours=1)}),
        ({"centres": ("beta", "alpha"), "cores": 4, "max_price": 4.0}, {}),
    ],
)
def test_what_is_just_within_the_limits_fits(asked: dict[str, Any], there: dict[str, Any]) -> None:
    assert refusal(request(**asked), offer(**there).at(NOW)) == ""


def test_a_busy_node_still_fits_because_it_will_be_free() -> None:
    assert refusal(request(cores=8), offer(load=load(node(cores_used=8))).at(NOW)) == ""
