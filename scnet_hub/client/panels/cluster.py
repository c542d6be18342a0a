"""The view of one Dask cluster: why it is where it is, what it costs, its centres and jobs, what happened to them, and
controls. The cluster sends the states, and acts on what the controls say (clusters/controls.py)."""

from __future__ import annotations

from html import escape
from typing import Any

from .base import View, script
from .snapshot import Table, badge, noted, plain

Json = dict[str, Any]
CENTRES = Table(
    "Centres",
    lambda state: state["cluster"]["centres"],
    (
        noted("Centre", lambda row: row["name"], lambda row: row["why"]),
        plain("Asked for", lambda row: row["asked"], num=True),
        plain("Waiting", lambda row: row["waiting"], num=True),
        plain("Running", lambda row: row["running"], num=True),
        plain("Cost", lambda row: row["cost"], num=True),
    ),
    tail=lambda row: row["why"],
)
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
            f"<p class='scnet-why'>{escape(one['why'])}</p><p class='scnet-why'>{escape(one['money'])}</p>"
            f"{CENTRES.html(state)}{JOBS.html(state)}<ul>{notes}</ul></section>"
        )

    def text(self, state: Json) -> str:
        one = state["cluster"]
        dashboard = f"Dashboard: {one['dashboard']}" if one["dashboard"] else ""
        lines = (f"Dask cluster {one['name']}", one["why"], one["money"], dashboard)
        return "\n".join(filter(None, (*lines, CENTRES.text(state), JOBS.text(state), *one["notes"])))


class ClusterView(View):
    """Draws the states that a cluster sends: `cluster` with `name`, `why`, `money`, `dashboard`, `centres`, `jobs`,
    `jobs_title`, `controls` and `notes` (see clusters/display.py). `on_say` gets "scale" with `jobs`, "adapt" with
    `minimum` and `maximum`, and "stop"."""

    _esm = script("cluster")
    parts = (Cluster(),)
