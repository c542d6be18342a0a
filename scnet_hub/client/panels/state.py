"""Makes the words of panels from the broker's answers, without widgets, clocks or I/O.

A panel's state is one JSON dict of ready words and sorted rows (`shown`); the browser's view, the saved HTML and the
text all draw this same dict. Its times are absolute, so that it only changes when facts change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

from ...display import centre_status, charts, endings, waits
from ...display.endings import look_of
from ...display.session_states import ON_NODE, UNKNOWN, Look, stoppable
from ...errors import ScnetError
from ...units import format_number

Json = dict[str, Any]

CENTRE_STATES: Mapping[str, Look] = {
    "up": Look("good", "●", "up"),
    "stale": Look("warn", "▲", "stale"),
    "down": Look("bad", "■", "down"),
}
CHART = (420, 120)  # width and height
# before the first answer
NOTHING: Json = {"summary": "", "moving": False, "now": None, "problem": None}
MONEY = (("settled", "Settled"), ("in_flight", "In flight"), ("held", "Held"), ("available", "Available"))


def shown(now: datetime, summary: str, *, moving: bool = False, **facts: Any) -> Json:
    """Makes a panel's state: its `facts`, true at `now`, under one sentence (`summary`). `moving`: the facts are about
    to change."""
    return {
        **facts,
        "summary": summary,
        "moving": moving,
        "now": now.isoformat(timespec="milliseconds"),
        "problem": None,
    }


def with_problem(shown: Json, error: ScnetError) -> Json:
    """Adds to the last state why it could not be refreshed; the panel shows the state greyed."""
    return {**shown, "problem": {"title": str(error), "hint": error.hint, "stale": True}}


def with_refusal(shown: Json, error: ScnetError) -> Json:
    """Adds to a current state why an action was refused."""
    return {**shown, "problem": {"title": str(error), "hint": error.hint}}


def facts(shown: Json) -> Json:
    """Returns the state without its time: two equal states need no message."""
    return {key: value for key, value in shown.items() if key != "now"}


def centre_row(centre: Json) -> Json:
    look = CENTRE_STATES.get(centre["state"], UNKNOWN)
    partitions = centre.get("partitions", ())
    return {
        "id": centre["id"],
        "name": centre["name"],
        "title": centre.get("organisation", ""),
        **asdict(look),
        "why": " · ".join(filter(None, (centre_status.why(centre), *centre_status.told(centre)))),
        "account": "no account linked"
        if centre.get("identity", "shared") != "shared" and not centre.get("account")
        else "",
        "cores": centre["cores"],
        "cores_free": centre["cores_free"],
        "gpus": centre["gpus"],
        "gpus_free": centre["gpus_free"],
        "queued": centre["queued_jobs"],
        "price": prices(part["core_hour"] for part in partitions),
        "gpu_price": prices(part["gpu_hour"] for part in partitions if part["gpus"]),
        "taken_at": centre.get("taken_at"),
    }


def prices(each: Iterable[float]) -> str:
    """Returns "0.80", or "0.80–1.20" over several partitions."""
    found = sorted({float(price) for price in each})
    return "–".join(format_number(price) for price in dict.fromkeys((found[0], found[-1]))) if found else ""


def session_row(session: Json) -> Json:
    look = UNKNOWN if session.get("unknown_since") and session["live"] else look_of(session)
    charged = session.get("charged")
    return {
        "id": session["id"],
        "kind": session["kind"],
        "name": endings.called(session),
        "centre": session.get("centre_name") or session["centre"] or "",
        **asdict(look),
        "detail": detail(session),
        "size": size(session),
        "expires_at": session.get("expires_at"),
        "cost": format_number(float(session.get("in_flight") or 0) if charged is None else float(charged)),
        "charged": charged is not None,
        "live": bool(session["live"]),
        "stoppable": stoppable(session),
        "created_at": session.get("created_at"),
    }


def size(session: Json) -> str:
    cores, gpus = session.get("cores", 0), session.get("gpus", 0)
    return plural(cores, "core") + (f", {plural(gpus, 'GPU')}" if gpus else "")


def detail(session: Json) -> str:
    """Returns what the session's owner should know: its warnings; why it waits, is unknown or ended; or the node of a
    running session."""
    warned = centre_status.warned(session)
    lost = bool(session.get("unknown_since")) and bool(warned)  # the warning explains it better
    return " · ".join(filter(None, (*warned, "" if lost else _line(session))))


def _line(session: Json) -> str:
    if not session["live"]:
        return endings.cause(session)
    if session.get("unknown_since"):
        return f"The session's state is unknown ({session.get('unknown_why') or 'no answer'}); the session is kept."
    if session["state"] in ON_NODE:
        return f"on {session['node']}" if session.get("node") else ""
    return waits.why(session)


def balance_row(balance: Json) -> Json:
    granted = float(balance["granted"])
    ages = ages_of(balance)
    money = [
        {
            "key": key, "label": label, "text": format_number(float(balance[key])),
            "share": share(float(balance[key]), granted), "at": ages.get(key),
        }
        for key, label in MONEY
    ]  # fmt: skip
    quotas = [
        quota_row("GPUs" if name == "gpus" else name, quota["used"], quota["limit"])
        for name, quota in balance.get("quota", {}).items()
        if quota["limit"]
    ]
    title = balance.get("title") or balance["id"]
    mine = centre_status.mine(balance)
    said = [words[:1].upper() + words[1:] for words in (mine and f"{mine}.", centre_status.pace(balance)) if words]
    return {
        "id": balance["id"], "title": title, "granted": format_number(granted), "money": money, "quotas": quotas,
        "pace": " ".join(said), "mine": format_number(centre_status.available(balance)), "chart": chart(balance),
    }  # fmt: skip


def ages_of(balance: Json) -> Json:
    """Returns the times of the settled and the in-flight amounts; without an in-flight amount no time, because it would
    differ at each look."""
    times = balance.get("as_of") or {}
    return {"settled": times.get("settled"), "in_flight": times.get("in_flight") if balance["in_flight"] else None}


def chart(balance: Json) -> str:
    """Returns the charges of each of the last days as SVG; "" without charges."""
    days = [one for one in balance.get("last_days") or () if one["charged"] > 0]
    if not days:
        return ""
    listed = balance["last_days"]
    shown = [
        charts.Bar(label=charts.day(date.fromisoformat(one["day"])), value=float(one["charged"])) for one in listed
    ]
    words = (
        f"{format_number(sum(one['charged'] for one in days))} credits on {len(days)} of the last {len(listed)} days."
    )
    return charts.bars(
        "Credits charged by day", words, shown, name=f"days-{balance['id']}", width=CHART[0], height=CHART[1]
    )


def quota_row(name: str, used: int, limit: int) -> Json:
    part = share(used, limit)
    tone = "bad" if part >= 1 else "warn" if part >= 0.9 else "good"
    return {
        "name": name,
        "used": used,
        "limit": limit,
        "share": part,
        "tone": tone,
        "text": f"{used:,} of {limit:,} {name}",
    }


def share(part: float, whole: float) -> float:
    return round(min(1.0, max(0.0, part / whole)), 4) if whole > 0 else 0.0


def plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
