"""`/hub/placement`: for operators, predictions of placement compared with outcomes, and each decision in words.

`view` turns the broker's report into the sentences and figures that placement.html prints. A person who is not an
operator sees only the explanation of their own session, by its id.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from tornado import web

from ...display.session_states import ENDED, READY, look
from ...display.times import second, waited
from ...errors import NotFound, ScnetError
from .base import Page

Json = dict[str, Any]
Facts = Mapping[str, Any]
_ID = re.compile(r"[a-z0-9]{1,32}", re.ASCII)
SPANS = {"day": 1, "week": 7}
CAUSES = {
    "first": "", "stalled": "a further copy: it "
    "stalled", "failed": "moved: its start failed", "refused": "moved: refused there",
    "unreachable": "moved: unreachable",
}  # fmt: skip
KINDS = {"lab": "Lab", "dask": "Dask", "batch": "batch"}
PEOPLE = 3  # named in one line
CODES = {
    "no-placement": "No place", "over-quota": "Over quota", "overdrawn": "Over budget",
    "over-cap": "Over a member's cap", "no-price": "No price there", "unknown-centre": "No such centre",
    "unknown-project": "No such project", "no-project": "In no project", "bad-option": "Wrong option",
    "not-entitled": "Not allowed",
}  # fmt: skip
SHOWN = {"": "All", "placed": "Placed", "refused": "Refused"}


# ---- words


def figures(one: Facts, name: str) -> Json:
    rate = one["hit_rate"]
    return {
        "name": name,
        "count": one["count"],
        "further": one["further"],
        "rate": "–" if rate is None else f"{100 * rate:.0f} %",
        "kept": f"{one['kept']} of {one['promised']}" if one["promised"] else "no time was stated",
        "expected": waited(one["expected_median_s"]),
        "started": waited(one["started_median_s"]),
        "median": waited(one["ready_median_s"]),
        "p95": waited(one["ready_p95_s"]),
        "waiting": f"{one['waiting']} not ready yet" if one["waiting"] else "",
    }


def decision(one: Facts) -> Json:
    """Returns one row of the last decisions."""
    refused, late, lab = one.get("refused"), one.get("as_promised"), one.get("kind") == "lab"
    return {
        "id": str(one["id"]),
        "at": second(one["decided_at"]),
        "iso": str(one["decided_at"]),
        "person": str(one["person"]),
        "what": KINDS.get(str(one.get("kind")), "–"),
        "where": str(one["centre_name"]) if one["centre"] else "nowhere",
        "note": titled(refused["code"])
        if refused
        else ", ".join(filter(None, (one["partition"], CAUSES.get(one["cause"])))),
        "expected": str(one.get("chance") or "–"),
        "promise": promise(one),
        "started": waited(one.get("waited_s")),
        "ready": f"ready after {waited(one['ready_s'])}" if lab and one.get("ready_s") is not None else "",
        "kept": {True: "yes", False: "no", None: "–"}[late],
        "state": "refused" if refused else state(one),
        "refused": bool(refused),
        "why": str(refused["why"]) if refused else "",
    }


def titled(code: str) -> str:
    """Returns a refusal's code in words; an unlisted code as its own name."""
    return CODES.get(code) or code.replace("-", " ").capitalize()


def lines(decisions: Iterable[Facts]) -> list[Json]:
    """Returns a row for each decision; consecutive refusals for the same reason are one row, so that a burst hides no
    other decision."""
    found: list[Json] = []
    for (code, _), some in groupby(decisions, key=_alike):
        among = list(some)
        if not code:
            found += [decision(one) for one in among]
            continue
        times, people = (
            sum(one["refused"]["times"] for one in among),
            dict.fromkeys(str(one["person"]) for one in among),
        )
        note = f"{titled(code)}{f', {times} in a row' if times > 1 else ''}"
        found.append(decision(among[0]) | {"note": note, "person": shortened([*people])})
    return found


def _alike(one: Facts) -> tuple[str, str]:
    """Groups refusals by code and kind of session; ("", "") is a decision that was carried out."""
    refused = one.get("refused")
    return (str(refused["code"]), str(one.get("kind"))) if refused else ("", "")


def shortened(people: Sequence[str]) -> str:
    more = f" and {len(people) - PEOPLE} more" if len(people) > PEOPLE else ""
    return ", ".join(people[:PEOPLE]) + more


def promise(one: Facts) -> str:
    """Returns the stated time, or the guess that ordered the places."""
    if one.get("p90_s") is not None:
        return f"9 in 10 within {max(1, math.ceil(one['p90_s']))}\u00a0s"
    guess = one.get("expected_start_s")
    return f"roughly in {waited(guess)}" if guess is not None and one.get("chance") in ("next", "later") else ""


def state(one: Facts) -> str:
    """Returns the present state of the session."""
    if one.get("ended_at"):
        return ENDED
    if one.get("started_at"):
        return READY if one.get("ready_at") and one.get("kind") == "lab" else "running"
    return look(str(one["state"])).word if one.get("state") else "waiting"


def view(
    report: Facts | None,
    span: str,
    *,
    show: str = "",
    explained: Facts | None = None,
    wanted: str = "",
    error: ScnetError | None = None,
) -> Json:
    """Returns all texts of the page. Without a report it is the page of one explanation, or of an error."""
    shown: Json = {
        "span": span,
        "show": show,
        "shows": SHOWN,
        "wanted": wanted,
        "spans": [*SPANS],
        "report": None,
        "words": [*(explained or {}).get("words", ())],
    }
    shown["problem"] = {"title": str(error), "hint": error.hint} if error else None
    if report is None:
        return shown
    listed: Callable[[Facts], bool] = lambda one: one["code"] == "no-placement" and bool(report["refused_by"])  # noqa: E731
    shown["report"] = {
        "all": figures(report["all"], "All"),
        "as_of": second(report["as_of"]),
        "iso": str(report["as_of"]),
        "tables": _tables(report),
        "refused": [
            {"title": titled(one["code"]), "count": one["count"], "example": "" if listed(one) else one["example"]}
            for one in report["refused"]
        ],
        "refused_by": [
            {"centre": one["centre_name"], "count": one["count"], "reason": one["reason"]}
            for one in report["refused_by"]
        ],
        "decided": len(report["decisions"]),
        "decisions": lines(
            one for one in report["decisions"] if not show or bool(one.get("refused")) == (show == "refused")
        ),
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


class PlacementPage(Page):
    """GET shows the last day; with `?span=week` the last week; with `&show=refused` or `placed` only these decisions;
    with `?id=ID` one decision in words."""

    @web.authenticated
    async def get(self) -> None:
        wanted = self.get_query_argument("id", "").strip()[:64]
        asked = self.get_query_argument("span", "day")
        span = asked if asked in SPANS else "day"
        if not (self.operator or wanted):
            raise web.HTTPError(403, "This page is for the federation's operators.")
        away, asked_for = None, self.get_query_argument("show", "")
        show = asked_for if asked_for in SHOWN else ""
        try:
            shown = await self.asked(wanted, span, show)
        except ScnetError as error:
            shown, away = view(None, span, wanted=wanted, error=error), error
        await self.say("placement.html", shown, away, here="placement")

    async def asked(self, wanted: str, span: str, show: str) -> Json:
        person = "" if self.operator else self.person
        if wanted and not _ID.fullmatch(wanted):
            raise NotFound(
                "There is no session and no decision with this id.",
                hint="Follow a link of the hub's pages.",
                code="unknown-decision",
            )
        if wanted:
            explained = await self.broker.call("GET", f"decisions/{wanted}", person, timeout=10)
            return view(None, span, explained=explained, wanted=wanted)
        return view(
            await self.broker.call("GET", "decisions", person, params={"days": SPANS[span]}, timeout=10),
            span,
            show=show,
        )
