"""The view of one Dask cluster: why it is where it is, its jobs, and what happened to them. The cluster sends the
states."""

from __future__ import annotations

from html import escape
from typing import Any

from .base import View, script
from .snapshot import Table, badge, noted, plain

Json = dict[str, Any]
JOBS = Table(
    "Jobs",
    lambda state: state["cluster"]["jobs"],
    (
        noted("Job", lambda row: row["name"], lambda row: row["size"]),
        plain("Centre", lambda row: row["centre"]),
        badge("State", lambda row: row["detail"]),
        plain("Workers", lambda row: row["workers"], num=True),
        plain("Cost", lambda row: row["cost"], num=True),
    ),
    tail=lambda row: row["detail"],
)


class Cluster:
    """The saved form."""

    def html(self, state: Json) -> str:
        one = state["cluster"]
        link = (
            f"<a href='{escape(one['dashboard'])}' target='_blank' rel='noopener'>Dashboard</a>"
            if one["dashboard"]
            else ""
        )
        notes = "".join(f"<li>{escape(note)}</li>" for note in one["notes"])
        return (
            f"<section class='scnet-cluster'><h4>Dask cluster {escape(one['name'])} {link}</h4>"
            f"<p class='scnet-why'>{escape(one['why'])}</p>{JOBS.html(state)}<ul>{notes}</ul></section>"
        )

    def text(self, state: Json) -> str:
        one = state["cluster"]
        dashboard = f"Dashboard: {one['dashboard']}" if one["dashboard"] else ""
        return "\n".join(
            filter(None, (f"Dask cluster {one['name']}", one["why"], dashboard, JOBS.text(state), *one["notes"]))
        )


class ClusterView(View):
    """Draws the states that a cluster sends: `cluster` with `name`, `why`, `dashboard`, `jobs` and `notes` (see
    clusters/display.py)."""

    _esm = script("cluster")
    parts = (Cluster(),)
