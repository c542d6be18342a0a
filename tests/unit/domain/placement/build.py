"""Builders for placement tests: an offer of two 8-core nodes, changed where a test says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from scnet_hub.domain.jobs import JobRequest, NodeLoad, PartitionLoad
from scnet_hub.domain.placement.placement import Offer
from scnet_hub.units import credits

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
GIB = 2**30


def request(**changes: Any) -> JobRequest:
    return JobRequest(**{"person": "ada", "project": "sea", **changes})


def node(name: str = "n1", **changes: Any) -> NodeLoad:
    return NodeLoad(**{"name": name, "cores": 8, "cores_used": 0, "memory": 16 * GIB, **changes})


def load(*nodes: NodeLoad, **changes: Any) -> PartitionLoad:
    return PartitionLoad(**{"name": "cpu", "nodes": nodes or (node("n1"), node("n2")), **changes})


def offer(centre: str = "alpha", **changes: Any) -> Offer:
    usual: dict[str, Any] = {
        "centre": centre, "centre_name": centre.title(), "partition": "cpu", "nodes": 2, "cores": 8, "memory": 16 * GIB,
        "max_walltime": timedelta(days=1), "core_hour": credits(1), "gpu_hour": credits(10),
        "load": load(), "taken_at": NOW - timedelta(seconds=5),
    }  # fmt: skip
    return Offer(**{**usual, **changes})
