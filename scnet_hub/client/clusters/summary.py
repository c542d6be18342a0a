"""Describes a cluster in words: the rows that its view draws and the text of `explain()`. Pure; no Dask."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from ...display.endings import look_of
from ...display.session_states import GOOD, INTENT, ON_NODE, STARTING, UNKNOWN, Look, look
from ...units import format_number
from ..panels.state import detail, plural
from .sizes import Size

Json = dict[str, Any]
SHOWN_NOTES, SHOWN_JOBS = 4, 100
WORKING = "working"


def job_row(name: str, session: Json, size: Size, *, connected: bool, waiting: str = "") -> Json:
    """Returns one job of a cluster as a row: state, place in the queue or node, its worker, its cost."""
    return {
        "id": name,
        "name": name,
        "size": plural(size.cores, "core") + (f", {plural(size.gpus, 'GPU')}" if size.gpus else ""),
        "centre": session.get("centre_name") or session.get("centre") or "",
        **asdict(job_look(session, connected=connected, waiting=waiting)),
        "detail": waiting or (detail(session) if session else ""),
        "place": session.get("place_in_queue") or 0,
        "workers": f"{int(connected)} of 1",
        "cost": format_number(cost_of(session)),
    }


def job_look(session: Json, *, connected: bool, waiting: str) -> Look:
    if connected:
        return Look(GOOD, "●", WORKING)
    if waiting:
        return replace(UNKNOWN, word="not submitted yet")
    if not session:
        return look(INTENT)
    if session.get("unknown_since") and session.get("live"):
        return UNKNOWN
    if session["state"] in ON_NODE:
        return replace(look(STARTING), word="starting its worker")
    return look_of(session)


def centre_rows(jobs: Sequence[Json], sessions: Sequence[Json]) -> list[Json]:
    """Returns a row for each centre: the jobs that are asked for, that wait (and why), and that work, and the cost of
    all `sessions` that the cluster ever had there. `jobs` are rows of `job_row`."""
    spent: dict[str, float] = {}
    for one in sessions:
        centre = one.get("centre_name") or one.get("centre") or ""
        spent[centre] = spent.get(centre, 0.0) + cost_of(one)
    return [
        _centre_row(centre, [job for job in jobs if job["centre"] == centre], spent.get(centre, 0.0))
        for centre in dict.fromkeys((*(job["centre"] for job in jobs), *spent))
    ]


def _centre_row(centre: str, jobs: Sequence[Json], spent: float) -> Json:
    waiting = [job for job in jobs if job["word"] != WORKING]
    return {
        "id": centre,
        "name": centre or "not placed yet",
        "asked": f"{len(jobs):,}",
        "waiting": f"{len(waiting):,}",
        "why": "; ".join(_reasons(waiting)),
        "running": f"{len(jobs) - len(waiting):,}",
        "cost": format_number(spent),
    }


def _reasons(waiting: Sequence[Json]) -> list[str]:
    """Returns each state with the reason of the job that is first in the queue: "3 queued: number 1 in the queue:
    waiting for free cores"."""
    found = []
    for word, count in Counter(job["word"] for job in waiting).items():
        told = [job for job in waiting if job["word"] == word and job["detail"]]
        first = min(told, key=lambda job: job["place"] or float("inf"), default={"detail": ""})
        found.append(": ".join(filter(None, (f"{count:,} {word}", first["detail"]))))
    return found


def jobs_title(jobs: int) -> str:
    return "Jobs" if jobs <= SHOWN_JOBS else f"Jobs: the first {SHOWN_JOBS:,} of {jobs:,}"


def cost_of(session: Json) -> float:
    charged = session.get("charged")
    return float(session.get("in_flight") or 0) if charged is None else float(charged)


def summary(jobs: Sequence[Json], cost: float, *, closed: bool, budget: float | None = None) -> str:
    """Returns "2 of 3 jobs working, 1 queued · 1.25 of 20.00 credits so far"."""
    spent = f"{format_number(cost)}{f' of {format_number(budget)}' if budget else ''} credits so far"
    if closed:
        return f"Cluster closed · {spent}"
    working = sum(job["word"] == WORKING for job in jobs)
    others = [job["word"] for job in jobs if job["word"] != WORKING]
    rest = "".join(f", {others.count(word)} {word}" for word in dict.fromkeys(others))
    return f"{working} of {plural(len(jobs), 'job')} working{rest} · {spent}"


def why(first: Json) -> str:
    """Returns where the first job was placed, and why; the broker's own sentence if it names the place."""
    if not first:
        return "Not placed yet."
    centre = str(first.get("centre_name") or first.get("centre"))
    reason = str(first.get("why") or (first.get("placement") or {}).get("reason") or "").rstrip(".")
    return f"{reason}." if reason.startswith(centre) else f"At {centre}: {reason}." if reason else f"At {centre}."


def explain(
    name: str,
    jobs: Sequence[Json],
    whole: Json,
    first: Json,
    notes: Sequence[tuple[datetime, str]],
    problem: str,
    money: str = "",
) -> str:
    """Returns why this centre was chosen for all jobs (`whole`: the broker's placement of them together) or for the
    first, which was second, which were ruled out and why, what all cost, and what happened since."""
    placement = whole or first.get("placement") or {}
    lines = [f"Dask cluster {name}: {plural(len(jobs), 'job')}.", *([whole["reason"]] if whole else [why(first)])]
    lines += [costs(whole)] if whole else []
    for offer in (placement.get("ranked") or [])[1:2] if not whole and "Runner-up" not in lines[-1] else ():
        second = f"{offer.get('centre_name') or offer['centre']}, {offer['partition']}"
        start = offer.get("expected_start") or offer.get("wait") or ""
        lines.append(
            f"Runner-up: {second} ({start}; {format_number(float(offer.get('cost') or 0))} credits for the whole "
            "walltime)."
        )
    for refusal in placement.get("refusals") or []:
        where = ", ".join(filter(None, (refusal["centre"], refusal.get("partition"))))
        lines.append(f"Not at {where}: {str(refusal['reason']).rstrip('.')}.")
    lines += [f"{job['name']}: {job['word']}" + (f", {job['detail']}" if job["detail"] else "") + "." for job in jobs]
    lines += [*filter(None, [money]), *diary(notes)]
    return "\n".join([*lines, *([problem] if problem else [])])


def costs(whole: Json) -> str:
    """Returns what all jobs of a placement cost together, with the hold at their start."""
    quote = (whole.get("best") or {}).get("quote")
    if not quote:
        return "The cost is not known."
    low, expected, most, held = (format_number(float(quote[key])) for key in ("low", "expected", "max", "held_first"))
    return (
        f"All {plural(whole['jobs'], 'job')} cost at least {low}, probably {expected} and at most {most} credits; "
        f"{held} are held when they start."
    )


def diary(notes: Sequence[tuple[datetime, str]]) -> list[str]:
    return [f"{at:%H:%M:%S} UTC  {words}" for at, words in notes]
