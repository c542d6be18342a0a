"""Says why a session waits, in words for its owner, made from the session document of docs/reference/rest.md. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Facts = Mapping[str, Any]

# The reasons of Slurm; those of other schedulers are sentences already.
REASONS: Mapping[str, str] = {
    "Resources": "waiting for free cores",
    "Priority": "other jobs have priority",
    "Dependency": "waiting for another job",
    "BeginTime": "waiting for its start time",
    "QOSMaxJobsPerUserLimit": "you have as many jobs there as the centre allows",
    "AssocMaxJobsLimit": "you have as many jobs there as the centre allows",
    "ReqNodeNotAvail": "its nodes are reserved or down",
    "PartitionDown": "the partition is closed",
    "None": "",
}


def why(session: Facts) -> str:
    """Returns "number 3 in the queue: waiting for free cores"; "" if neither is known."""
    reason = str(session.get("reason") or "")
    words = REASONS.get(reason, reason)
    place = session.get("place_in_queue")
    return ": ".join(filter(None, (f"number {place} in the queue" if place else "", words)))
