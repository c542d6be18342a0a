"""Formats for the pages about credits: a project's four numbers with their ages and its pace, days and times in words,
charts.

Pure: from the broker's documents (docs/reference/rest.md) to strings that templates print. Times are shown in the
federation's zone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from markupsafe import Markup

from ...display import centre_status, charts, endings, times
from ...display.charts import Bar, Left
from ...errors import ScnetError
from ...units import format_number

Json = dict[str, Any]
Facts = Mapping[str, Any]
Form = Callable[[str, tzinfo], str]
FORMS: Mapping[Form, str] = {times.minute: "minute", times.dated: "dated", times.day: "day"}
FOUR = (("settled", "Settled"), ("in_flight", "In flight"), ("held", "Held"), ("available", "Available"))
WIDE, NARROW = 960, 340  # of a chart on a screen and on a phone
HINTS = {  # for the page, where the broker's hint is about the command line
    "unknown-project": "The page Usage lists your projects.",
    "unknown-statement": "The page Statements lists the statements that you may see.",
    "unknown-record": "The page shows the records that wait.",
    "period-not-closed": "Give the reason for not waiting for a centre in its field; decide about records in suspense "
    "below.",
}


def problem(error: ScnetError) -> Json:
    """Returns the refusal, what to do, each reason if there are several, and the `field` of the form that is wrong ("":
    none)."""
    listed = error.details.get("reasons") if isinstance(error.details, dict) else None
    reasons = [str(one) for one in listed] if isinstance(listed, list) else []
    title = f"{str(error).partition(': ')[0]}:" if reasons else str(error)
    return {"title": title, "hint": HINTS.get(error.code, error.hint), "reasons": reasons, "field": field_of(error)}


def field_of(error: ScnetError) -> str:
    """Returns the wrong field: from the error's details, or from the beginning of its sentence ("amount: must be
    ...")."""
    said = error.details.get("field") if isinstance(error.details, dict) else None
    begins = str(error).partition(": ")
    return str(said or (begins[0] if begins[1] and _FIELD.fullmatch(begins[0]) else ""))


_FIELD = re.compile(r"[a-z_]{1,20}", re.ASCII)


def zone_of(name: Any) -> tzinfo:
    """Returns the time zone of that name; UTC if this machine does not know the zone."""
    try:
        return ZoneInfo(str(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def timed(iso: Any, zone: tzinfo, form: Form = times.minute) -> Markup:
    """Returns the time as an element that the page's script shows in the person's zone; a dash for None."""
    if not iso:
        return Markup("–")
    return Markup('<time datetime="{}" data-form="{}">{}</time>').format(str(iso), FORMS[form], form(str(iso), zone))


def amount(value: Any) -> str:
    return format_number(float(value or 0))


def exact(value: Any) -> str:
    """Returns all decimals, at least two: "0.50", "5.166667"."""
    whole, _, rest = f"{float(value or 0):,.6f}".partition(".")
    return f"{whole}.{rest.rstrip('0').ljust(2, '0')}"


# ---- a project


def balance(one: Facts, now: Any, zone: tzinfo) -> Json:
    """Returns a project's four numbers, each with its age, and its pace."""
    granted = float(one["granted"])
    old = {key: times.ago(at, now, never="never") for key, at in one["as_of"].items()}
    ages = {
        "settled": f"newest charge {old['settled']}" if one["as_of"]["settled"] else "nothing charged yet",
        "in_flight": "estimate, as of "
        f"{old['in_flight']}", "held": "reserved; the rest is released", "available": "now",
    }  # fmt: skip
    return {
        "id": str(one["id"]), "title": str(one["title"] or one["id"]), "granted": amount(granted),
        "numbers": [
            {"key": key, "label": label, "text": amount(one[key]), "age": ages[key],
            "share": share(float(one[key]), granted)}
            for key, label in FOUR
        ],
        "mine": own(one), "pace": pace(one, zone), "waiting": waiting(one),
        "ending": [str(words) for words in one["ending"]],
    }  # fmt: skip


def own(one: Facts) -> str:
    """Says how much a member with a cap may still spend; "" without a cap."""
    words = centre_status.mine(one)
    rest = one.get("own") or {}
    held = f", {amount(rest['held'])} held for your sessions" if rest.get("held") else ""
    return f"{words[:1].upper()}{words[1:]}: {amount(rest['spent'])} spent{held}." if words else ""


def pace(one: Facts, zone: tzinfo) -> list[Json]:
    """Returns the burn rate, the price of running sessions, and when the credits run out."""
    rate, hourly = one["burn_rate"], float(one["per_hour"])
    lasts = timed(one["runs_out_at"], zone, times.day) if one["runs_out_at"] else "not in sight"
    over = {"text": lasts, "note": "at the rate of the last week" if rate else "no credits were spent in the last week"}
    unknown = {"text": "not known yet", "note": "needs more than a day of use"}
    runs_on = timed(one["runs_out_now_at"], zone, times.dated) if one.get("runs_out_now_at") else "not in sight"
    return [
        {
            "label": "Burn rate",
            **(unknown if rate is None else {"text": f"{amount(rate)} credits a day", "note": WEEK}),
        },
        {"label": "Runs out", **(unknown if rate is None else over)},
        {"label": "Runs now", "text": f"{amount(hourly)} credits an hour", "note": "by today's prices"},
        *([{"label": "Runs out if all sessions continue", "text": runs_on, "note": ""}] if hourly else []),
    ]


WEEK = "over the last week, in flight included"


def waiting(one: Facts) -> str:
    """Says how many sessions have ended and are not settled."""
    count = int(one["waiting"] or 0)
    has = "1 session has ended and waits" if count == 1 else f"{count} sessions have ended and wait"
    return f"{has} for the centre's usage record." if count else ""


def share(part: float, whole: float) -> float:
    """Returns the share in per cent, from 0 to 100."""
    return round(100 * min(1.0, max(0.0, part / whole)), 2) if whole > 0 else 0.0


# ---- a session and its charges


def session(one: Facts, zone: tzinfo) -> Json:
    ended = "runs" if one["live"] else "charged" if one["charges"] else "waits for its record"
    ended = f"failed, {ended}" if one.get("outcome") == "failed" else ended
    return {
        "id": str(one["session"]), "name": endings.called(one),
        "kind": KINDS.get(str(one["kind"]), str(one["kind"] or "–")), "person": str(one["person"]),
        "project": str(one["project"]), "centre": str(one["centre_name"] or "–"),
        "started": timed(one["started_at"], zone) if one["started_at"] else "never ran", "state": ended,
        "charged": exact(one["charged"]),
        "in_flight": f"{amount(one['in_flight'])} in flight" if one["in_flight"] else "",
        "charges": [charge(part, zone) for part in one["charges"]],
    }  # fmt: skip


KINDS = {"lab": "Lab", "dask": "Dask", "batch": "batch"}


def charge(one: Facts, zone: tzinfo) -> Json:
    """Returns a charge with its formula, so that a person can recalculate it."""
    return {
        "at": timed(one["at"], zone), "amount": exact(one["amount"]), "formula": str(one["formula"]),
        "taken_back": one["kind"] == "reverse",
    }  # fmt: skip


# ---- charts


def by_day(rows: Sequence[Facts], title: str, *, name: str = "days") -> Json:
    """Returns a chart of days for a screen and one for a phone, and a description; no chart if there was no usage."""
    days = [date.fromisoformat(str(one["day"])) for one in rows]
    shown = [
        Bar(label=charts.day(at), value=one["charged"], soft=one.get("in_flight", 0), words=day_words(at, one))
        for at, one in zip(days, rows, strict=True)
    ]
    spent = [one for one in rows if one["charged"] > 0]
    most = max(rows, key=lambda one: one["charged"], default=None)
    words, soft = "No charges.", any(one.soft > 0 for one in shown)
    if most and most["charged"] > 0:
        words = f"{amount(total(rows, 'charged'))} credits charged on {len(spent)} of {len(rows)} days."
        words += f" Most on {charts.day(date.fromisoformat(str(most['day'])))}: {amount(most['charged'])}."
    drawn = shown if spent or soft else []
    pictures = {
        size: charts.bars(title, words, drawn, name=f"{name}-{size}", width=width) for size, width in SIZES.items()
    }
    return {"words": words, **pictures, "soft": soft}


SIZES = {"wide": WIDE, "narrow": NARROW}


def day_words(at: date, one: Facts) -> str:
    flying = f", {amount(one['in_flight'])} in flight" if one.get("in_flight") else ""
    return f"{charts.day(at)}: {amount(one['charged'])} credits{flying}"


def burn_down(burning: Facts, zone: tzinfo) -> Json:
    """Returns the chart of a project's past and expected credits, with the ends of its lots marked."""
    past = [Left(at=at, value=one["left"]) for one in burning["past"] if (at := times.read(one["at"]))]
    ahead = [
        Left(at=at, value=one["left"], mark=_mark(one, zone))
        for one in burning["ahead"]
        if (at := times.read(one["at"]))
    ]
    shown = near(past, ahead)
    words = f"{amount(past[-1].value)} credits are left, including held credits." if past else "No data yet."
    marks = [one.mark for one in shown if one.mark]
    if shown and not marks:
        marks = [f"{amount(shown[-1].value)} will be left on {times.day(shown[-1].at, zone)}"]
    words = " ".join([words, *(f"{mark}." for mark in marks[:4])])
    if past and not ahead:
        words += " How long they last is not known yet: this needs more than a day of use."
    title = "Credits left, so far and at this rate"
    pictures = {
        size: charts.left_over(title, words, past, shown, zone, name=f"left-{size}", width=width)
        for size, width in SIZES.items()
    }
    return {"words": words, **pictures, "past": len(past) > 1, "ahead": bool(shown)}


def near(past: Sequence[Left], ahead: Sequence[Left]) -> list[Left]:
    """Limits the future to a year, so that the past stays visible; interpolates the last point."""
    if not past:
        return []
    limit = past[-1].at + timedelta(days=366)
    inside = [one for one in ahead if one.at <= limit]
    beyond = next((one for one in ahead if one.at > limit), None)
    if beyond and inside:
        last = inside[-1]
        part = (limit - last.at) / (beyond.at - last.at)
        inside.append(Left(at=limit, value=last.value + (beyond.value - last.value) * part))
    return inside


def _mark(one: Facts, zone: tzinfo) -> str:
    if one["lost"]:
        return f"{amount(one['lost'])} credits end unspent on {times.day(one['at'], zone)}"
    return f"No credits are left on {times.day(one['at'], zone)}" if not one["left"] else ""


def total(rows: Iterable[Facts], name: str) -> float:
    return round(sum(one[name] for one in rows), 6)
