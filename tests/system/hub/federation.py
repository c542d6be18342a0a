"""A small federation as the broker would describe it: facts for the start page's tests."""

from __future__ import annotations

import copy
from typing import Any

PROFILES = [
    {"id": "small", "title": "Small", "description": "Plots and teaching", "cores": 1, "memory": "2G", "gpus": 0,
    "walltime": "1h"},
    {"id": "medium", "title": "Medium", "description": "Data in memory", "cores": 4, "memory": "16G", "gpus": 0,
    "walltime": "4h"},
    {"id": "gpu", "title": "One GPU", "description": "Training and inference", "cores": 8, "memory": "32G", "gpus": 1,
    "walltime": "2h"},
]  # fmt: skip


def partition(name: str, cores: int, free: int, gpus: int = 0, gpus_free: int = 0, model: str = "") -> dict[str, Any]:
    return {
        "name": name, "cores": cores, "cores_free": free, "gpus": gpus, "gpus_free": gpus_free, "gpu_model": model,
        "running_jobs": 3, "queued_jobs": 0, "queued_cores": 0, "max_walltime_s": 86400, "core_hour": 1.0,
        "gpu_hour": 4.0,
    }  # fmt: skip


def centre(
    id: str, *, state: str = "up", why: str = "", age_s: float | None = 3.2, queued: int = 0, **facts: Any
) -> dict[str, Any]:
    parts = facts.pop("partitions", [partition("cpu", 32, 20)])
    sums = {key: sum(p[key] for p in parts) for key in ("cores", "cores_free", "gpus", "gpus_free")}
    return {
        "id": id, "name": id.capitalize(), "organisation": "University of "
        f"{id.capitalize()}", "dialect": "slurm", "state": state,
        "why": why, "taken_at": "2026-01-02T03:04:05Z", "age_s": age_s, **sums, "running_jobs": 3,
        "queued_jobs": queued, "my_sessions": 0, "partitions": parts, **facts,
    }  # fmt: skip


def offer(id: str, wait: str = "now", **facts: Any) -> dict[str, Any]:
    return {
        "centre": id, "centre_name": id.capitalize(), "partition": "cpu", "wait": wait, "expected_start": "now",
        "expected_start_s": 0 if wait == "now" else None, "cores": 32, "cores_free": 20, "gpus": 0, "gpus_free": 0,
        "queued_jobs": 0, "age_s": 3.2, "cost": 1.0, "cost_per_hour": 1.0, "available_after": 115.0, "reason": "",
        **facts,
    }  # fmt: skip


def quote(id: str, **facts: Any) -> dict[str, Any]:
    """An hour of one core at 1 credit, all of it held; `facts` may give it a lease."""
    return {
        "centre": id, "centre_name": id.capitalize(), "partition": "cpu", "unit": "GRANT", "low": 0.0167,
        "expected": 0.5, "max": 1.0, "why": {"low": "", "expected": "", "max": ""}, "held_first": 1.0,
        "held_first_s": 3600, "walltime_s": 3600, "starts_by": "2026-01-16T03:04:05Z", "available": 116.0,
        "after": 115.5, "after_first": 115.0, "after_max": 115.0, "sentences": [], "problem": None, **facts,
    }  # fmt: skip


def balance(id: str = "climate", **facts: Any) -> dict[str, Any]:
    return {
        "id": id, "title": "Climate models", "unit": "GRANT", "granted": 200.0, "settled": 80.0, "in_flight": 1.0,
        "held": 3.0, "available": 116.0,
        "quota": {"sessions": {"used": 1, "limit": 4}, "cores": {"used": 2, "limit": 64}}, **facts,
    }  # fmt: skip


CENTRES = [
    centre("alpha"),
    centre("beta", queued=3, age_s=8.0, partitions=[partition("normal", 64, 0), partition("dcu", 32, 6, 8, 2, "Z100")]),
    centre("gamma", state="stale", why="The last answer came 4 minutes ago; it is asked again in 20 "
    "s.", age_s=245.0, queued=12,
           partitions=[partition("work", 128, 11)]),
    centre("delta", age_s=1.0, partitions=[partition("teaching", 16, 15)]),
    centre("epsilon", state="down", why="Its login node refused the connection.", age_s=5400.0, queued=0),
]  # fmt: skip

PLACEMENT: dict[str, Any] = {
    "decided_at": "2026-01-02T03:04:05Z",
    "request": {"kind": "lab", "project": "climate", "cores": 1, "memory": "2G", "gpus": 0, "walltime": "1h"},
    "reason": "Alpha can start it at once and is the cheapest of the two that can.",
    "best": offer("alpha"),
    "ranked": [
        offer("alpha"),
        offer("beta", "soon", expected_start="behind 3 queued jobs", expected_start_s=340, cost=0.8, cost_per_hour=0.8),
        offer("gamma", "later", expected_start="behind 12 queued jobs", cost=0.6, cost_per_hour=0.6),
    ],
    "refusals": [
        {"centre": "delta", "partition": "teaching", "reason": "Only members of a class may use partition teaching."},
        {"centre": "epsilon", "partition": "cpu", "reason": "The centre does not answer."},
    ],
}
PROBLEM = {
    "type": "urn:scnet:problem:broker-unreachable", "title": "The broker does not "
    "answer.", "status": 503, "code": "broker-unreachable",
    "hint": "Sessions that run are not affected. Try again in a minute.",
}  # fmt: skip


def context(**facts: Any) -> dict[str, Any]:
    """What the hub's Python side hands to the form, with `facts` changed."""
    usual = {
        "centres": CENTRES, "placement": PLACEMENT, "projects": [balance()], "profiles": PROFILES, "problem": None,
        "defaults": {"profile": "small", "project": "climate", "cores": 2, "memory": "4G", "gpus": 0, "walltime": "1h",
        "centre": ""}, "offers_url": "/hub/scnet/offers", "accounts_url": "/hub/accounts",
    }  # fmt: skip
    return copy.deepcopy({**usual, **facts})
