"""`/hub/placement`: for operators, what placement predicted and what became of it, and any decision in words.

`view` turns the broker's report into the sentences and figures that placement.html prints. A person who is no operator sees the
explanation of an own session by its id, and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from jupyterhub.handlers import BaseHandler
from tornado import web

from ..errors import BrokerError, NotFound, ScnetError
from .broker import Broker

Json = dict[str, Any]
Facts = Mapping[str, Any]
_ID = re.compile(r"[a-z0-9]{1,32}", re.ASCII)
SPANS = {"day": 1, "week": 7}
CAUSES = {
    "first": "", "stalled": "a further copy: it stalled", "failed": "moved: its start died", "refused": "moved: refused there",
    "unreachable": "moved: out of reach",
}  # fmt: skip
CODES = {"no-placement": "No place", "over-quota": "Over quota", "overdrawn": "Over budget"}


# ---- words


def seconds(value: Any) -> str:
    """ "2.4 s", "310 s"; a dash for what is not known."""
    return "–" if value is None else f"{value:.1f} s" if value < 10 else f"{value:.0f} s"


def when(iso: Any) -> str:
    at = datetime.fromisoformat(str(iso)).astimezone(UTC)
    return f"{at.day} {at:%b %H:%M:%S}"


def figures(one: Facts, name: str) -> Json:
    rate = one["hit_rate"]
    return {
        "name": name,
        "count": one["count"],
        "further": one["further"],
        "rate": "–" if rate is None else f"{100 * rate:.0f} %",
        "kept": f"{one['kept']} of {one['promised']}" if one["promised"] else "nothing to judge yet",
        "median": seconds(one["ready_median_s"]),
        "p95": seconds(one["ready_p95_s"]),
    }


def decision(one: Facts) -> Json:
    """One line of the last decisions."""
    refused, late = one.get("refused"), one.get("as_promised")
    state = str(one.get("state") or "")
    became = "ready" if one.get("ready_at") else "ended" if one.get("ended_at") else state
    return {
        "id": str(one["id"]),
        "at": when(one["decided_at"]),
        "iso": str(one["decided_at"]),
        "person": str(one["person"]),
        "where": f"{one['centre_name']}, {one['partition']}" if one["centre"] else "nowhere",
        "note": CODES.get(refused["code"], "Refused") if refused else CAUSES.get(str(one["cause"]), ""),
        "expected": str(one.get("chance") or "–"),
        "became": "refused" if refused else became,
        "ready": seconds(one.get("ready_s")),
        "kept": {True: "yes", False: "no", None: "–"}[late],
    }


def view(report: Facts | None, span: str, *, explained: Facts | None = None, wanted: str = "", error: ScnetError | None = None) -> Json:
    """Everything that the page says. Without a report it is the page of one explanation, or of what is wrong."""
    shown: Json = {"span": span, "wanted": wanted, "spans": [*SPANS], "report": None, "words": [*(explained or {}).get("words", ())]}
    shown["problem"] = {"title": str(error), "hint": error.hint} if error else None
    if report is None:
        return shown
    shown["report"] = {
        "all": figures(report["all"], "All"),
        "as_of": when(report["as_of"]),
        "tables": _tables(report),
        "refused": [
            {"title": CODES.get(one["code"], one["code"]), "count": one["count"], "example": one["example"]} for one in report["refused"]
        ],
        "refused_by": [{"centre": one["centre_name"], "count": one["count"], "reason": one["reason"]} for one in report["refused_by"]],
        "decisions": [decision(one) for one in report["decisions"]],
    }
    return shown


def _tables(report: Facts) -> Sequence[Json]:
    centres = [figures(one, str(one["centre_name"])) for one in report["by_centre"]]
    chances = [figures(one, str(one["chance"])) for one in report["by_chance"]]
    return (
        {"id": "by-centre", "title": "By centre", "head": "Centre", "rows": centres},
        {"id": "by-chance", "title": "By expected start", "head": "Expected to start", "rows": chances},
    )


# ---- the page


class PlacementPage(BaseHandler):
    """GET shows the last day, with `?span=week` the last week, or with `?id=ID` one decision in words."""

    @web.authenticated
    async def get(self) -> None:
        wanted = self.get_query_argument("id", "").strip()[:64]
        asked = self.get_query_argument("span", "day")
        span = asked if asked in SPANS else "day"
        if not (self.current_user.admin or wanted):
            raise web.HTTPError(403, "This page is for the federation's operators.")
        try:
            shown = await self.asked(wanted, span)
        except ScnetError as error:
            self.set_status(error.status if error.status < 600 else BrokerError.status)
            shown = view(None, span, wanted=wanted, error=error)
        self.set_header("Cache-Control", "no-store")
        self.finish(await self.render_template("placement.html", view=shown, here="placement"))

    async def asked(self, wanted: str, span: str) -> Json:
        broker: Broker = self.current_user.spawner.broker
        person = "" if self.current_user.admin else str(self.current_user.name)
        if wanted and not _ID.fullmatch(wanted):
            raise NotFound(
                "There is no session and no decision of that id.", hint="Follow a link of the hub's pages.", code="unknown-decision"
            )
        if wanted:
            explained = await broker.call("GET", f"decisions/{wanted}", person, timeout=10)
            return view(None, span, explained=explained, wanted=wanted)
        return view(await broker.call("GET", "decisions", person, params={"days": SPANS[span]}, timeout=10), span)
