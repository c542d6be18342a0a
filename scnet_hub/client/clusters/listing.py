"""A person's Dask clusters, wherever they were made: their jobs are sessions of kind dask, called after their cluster
and numbered."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ...display.session_states import WITHOUT_NODE
from ...errors import BadOption, ScnetError

if TYPE_CHECKING:
    from ..rest import Client

Json = dict[str, Any]
EPOCH = re.compile(r"-[0-9a-f]{4}")  # after a name that a person gave: no two clusters share all of it


def cluster_of(session: Json) -> str:
    """Returns the name of the cluster that has this session as a job; "" for other sessions."""
    return session["name"].rpartition("-")[0] if session["kind"] == "dask" else ""


def clusters_of(sessions: Iterable[Json]) -> list[Json]:
    """Returns the clusters of these sessions, newest first: name, centres, counts of jobs, size and cost."""
    jobs: dict[str, list[Json]] = {}
    for session in sessions:
        if session["live"] and (name := cluster_of(session)):
            jobs.setdefault(name, []).append(session)
    return sorted((_cluster(name, each) for name, each in jobs.items()), key=lambda one: one["since"], reverse=True)


def _cluster(name: str, jobs: list[Json]) -> Json:
    waiting = sum(one["state"] in WITHOUT_NODE for one in jobs)
    return {
        "name": name, "centres": sorted({one["centre"] for one in jobs if one["centre"]}), "jobs": len(jobs),
        "running": len(jobs) - waiting, "waiting": waiting, "cores": sum(one["cores"] for one in jobs),
        "gpus": sum(one["gpus"] for one in jobs), "since": min(one["created_at"] for one in jobs),
        "in_flight": round(sum(one.get("in_flight") or 0.0 for one in jobs), 6),
        "dashboard": next((one["dashboard"] for one in jobs if one.get("dashboard")), ""),
        "sessions": [one["id"] for one in jobs],
    }  # fmt: skip


def list_clusters(client: Client | None = None) -> list[Json]:
    """Returns your clusters that have live jobs, newest first. Raises the broker's refusal."""
    return clusters_of((client or _shared()).sessions())


def find(name: str, found: list[Json]) -> Json:
    """Returns the cluster of that name, with or without the four letters at its end. Raises BadOption."""
    same = [one for one in found if one["name"] == name]
    same = same or [one for one in found if EPOCH.fullmatch(one["name"].removeprefix(name))]
    if len(same) == 1:
        return same[0]
    names = ", ".join(one["name"] for one in same or found) or "none"
    if same:
        raise BadOption(f"{len(same)} of your clusters are called {name[:40]!r}.", hint=f"Give one of {names}.")
    raise BadOption(f"You have no cluster {name[:40]!r} with live jobs.", hint=f"Your clusters: {names}.")


def stop(name: str, client: Client | None = None) -> list[Json]:
    """Stops every job of the cluster of that name, wherever it was made. Returns the sessions. Raises BadOption for an
    unknown name, and the last refusal of the broker after all jobs were tried."""
    client = client or _shared()
    done, refusal = [], None
    for session_id in find(name, list_clusters(client))["sessions"]:
        try:
            done.append(client.stop(session_id))
        except ScnetError as error:
            refusal = error
    if refusal:
        raise refusal
    return done


def _shared() -> Client:
    from ..rest import shared_client

    return shared_client()
