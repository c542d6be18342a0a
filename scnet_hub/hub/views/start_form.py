"""The start page's options form: turns facts of the federation into words, and words into HTML.

Only `view` turns centres, a placement and balances into sentences; the Jinja fragment prints them and the page's script
puts the same strings into the same cells on every refresh, so the two always agree. This module makes no calls, reads
no clock and does not import JupyterHub; the documents are those of `docs/reference/rest.md`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from ...display import centre_status
from ...display.request_fields import FIELDS
from ...display.times import age
from ...errors import KINDS, Refused, ScnetError
from ...units import format_number
from .request_words import FILTERS, credits, duration, plural
from .start_prices import COMMAND_LINE, FIGURES, UNLINKED, nowhere, place_of, problem_words, start_of

Facts = Mapping[str, Any]

_HUB = Path(__file__).resolve().parents[1]
_PAGES = next((p for p in (_HUB / "pages", _HUB.parents[1] / "extensions" / "hub") if p.is_dir()), _HUB / "pages")
TEMPLATES = _PAGES / "templates"
STATIC = _PAGES / "static"
PANELS = _HUB.parent / "client" / "panels"  # times.js there is the hub's pages' too
OWN = "own"  # the profile of a person who types the numbers
STATES = {"up": "Up", "stale": "Stale", "down": "Down", "unknown": "Not known yet"}
BY_NAME = {field.name: field for field in FIELDS if field.on_form}
DEFAULTS: dict[str, Any] = {"profile": "", **{name: field.default for name, field in BY_NAME.items()}}
BY_PRICE = ("overdrawn", "no-price")  # refusals of one place, not of the request
CONTACT = "the person who runs your project, or the federation's operators"


# ---- the view: everything the page says, as plain strings


def _note(offer: Facts, best: bool) -> str:
    """Returns what the words about the start leave out: why the offer ranks below the best, whose own reason is
    above."""
    words = str(offer.get("expected_start") or "")
    if words and words.lower() not in ("now", start_of(offer).lower()):
        return words
    return "" if best else str(offer.get("reason") or "")


def _refused(refusals: Sequence[Facts]) -> str:
    """Returns the reasons of one centre's partitions, each once; names the partition only if the reasons differ."""
    reasons = list(dict.fromkeys(str(r.get("reason") or "") for r in refusals))
    if len(reasons) < 2:
        return "".join(reasons)
    return "; ".join(f"{r['partition']}: {r['reason']}" if r.get("partition") else str(r["reason"]) for r in refusals)


def _said(line: str, refusal: str) -> bool:
    """Returns whether the refusal already has the same information as this line."""
    return bool(refusal) and line.rpartition(" (")[0] in refusal


def unlinked_at(centre: Facts) -> bool:
    """Returns whether people have accounts of their own at that centre, and this person has none linked."""
    return centre.get("identity") in ("certificate", "service") and not centre.get("account")


def _free(free: Any, total: Any, known: bool = True) -> str:
    """Returns the free amount; a dash for a centre that does not answer, because its old numbers are not valid."""
    if not known:
        return "–"
    return f"{int(free or 0)} of {int(total)}" if total else "none"


def _queue(jobs: int, known: bool) -> str:
    return "–" if not known else plural(jobs, "job") if jobs else "empty"


def _row(centre: Facts, offer: Facts | None, refusals: Sequence[Facts], best: str) -> dict[str, Any]:
    state = str(centre.get("state") or "unknown")
    unlinked = offer is None and unlinked_at(centre)
    refusal = UNLINKED if unlinked else _refused(refusals) or str(centre.get("why") or "")
    cores, free = int(centre.get("cores") or 0), int(centre.get("cores_free") or 0)
    known = state in ("up", "stale")
    fit = (
        ("now" if start_of(offer) == "Now" else str(offer.get("wait") or "later"))
        if offer
        else "no"
        if refusal
        else "asking"
    )
    return {
        "id": str(centre.get("id")),
        "name": str(centre.get("name") or centre.get("id")),
        "organisation": str(centre.get("organisation") or ""),
        "state": state,
        "state_word": STATES.get(state, state),
        "fit": fit,
        "best": centre.get("id") == best,
        "start": start_of(offer) if offer else "Not possible" if refusal else "Not known",
        "note": _note(offer, centre.get("id") == best) if offer else "" if unlinked else refusal,
        "link": f"{UNLINKED}: link it" if unlinked else "",
        "refusal": refusal,
        "why": str(centre.get("why") or "") if offer and state != "up" else "",
        "trouble": centre_status.trouble(centre),
        "told": " · ".join(line for line in centre_status.told(centre) if not _said(line, refusal)),
        "cores": _free(free, cores, known),
        "used": round(1 - free / cores, 3) if cores and known else 0,
        "gpus": _free(centre.get("gpus_free"), centre.get("gpus"), known),
        "queue": _queue(int(centre.get("queued_jobs") or 0), known),
        "price": format_number(float(offer.get("cost_per_hour") or 0)) if offer else "–",
        "age_s": centre.get("age_s"),
        "age": age(centre.get("age_s"), never="never"),
        "stale": state != "up",
    }


def _best(placement: Facts | None, blocked: str) -> dict[str, str]:
    """Returns the first option of the list of places, in three lines: its name, its reason, and the next best."""
    best = (placement or {}).get("best")
    if not placement or not best:
        return {"title": "Best place for you", "now": "", "why": blocked, "next": ""}
    kind = "gpus" if (placement.get("request") or {}).get("gpus") else "cores"
    free = f"{_free(best.get(kind + '_free'), best.get(kind))} {'GPUs' if kind == 'gpus' else 'cores'} free"
    start = start_of(best)
    now = f"it can start now: {free}" if start == "Now" else f"expected start: {start[:1].lower()}{start[1:]}"
    why = str(placement.get("reason") or best.get("reason") or "")
    rivals = [offer for offer in placement.get("ranked") or () if offer["centre"] != best["centre"]]
    return {
        "title": f"Best place for you: {best.get('centre_name') or best['centre']}",
        "now": f"— {now}",
        "why": why,
        "next": f"Next best: {_rival(rivals[0])}." if rivals and "runner-up" not in why.lower() else "",
    }


def _rival(offer: Facts) -> str:
    start = start_of(offer)
    price = format_number(float(offer.get("cost_per_hour") or 0))
    return f"{offer.get('centre_name') or offer['centre']}, {start[:1].lower()}{start[1:]}, {price} credits per hour"


def _refusal(problem: Facts) -> bool:
    """Returns whether the person can solve the problem, so that it belongs beside the button and not above the page."""
    kind = KINDS.get(str(problem.get("code") or "")) or KINDS.get(str(problem.get("family") or ""), ScnetError)
    return issubclass(kind, Refused)


def _blocked(
    centres: Sequence[Facts], placement: Facts | None, projects: Sequence[Facts], problem: Facts | None, contact: str
) -> str:
    """Returns why nothing can be started at all, the most important reason first; "" if something can be started."""
    outage = problem and not _refusal(problem)
    if not outage and not projects:
        return f"You are in no project yet, so no project can pay for a session. Ask {contact} to add you to one."
    if not outage and not any(centre.get("state") in ("up", "stale") for centre in centres):
        return (
            "No centre answers at the moment. You can start a session as soon as a centre answers; this page keeps "
            "checking."
        )
    if problem and not _of_one_place(problem, placement):
        return problem_words(problem)
    if placement and not placement.get("best"):
        return str(placement.get("reason") or "No centre can take this request.").replace(COMMAND_LINE, "")
    return ""


def _of_one_place(problem: Facts, placement: Facts | None) -> bool:
    """Returns whether only the best place is refused for its price, so that another place may be possible: the quotes
    say which."""
    return problem.get("code") in BY_PRICE and bool(placement and placement.get("quotes") and placement.get("best"))


def _project(balance: Facts) -> dict[str, str]:
    available, quota = format_number(centre_status.available(balance)), balance.get("quota") or {}
    used = [
        f"{q.get('used') or 0:g} of {q['limit']:g} {'GPUs' if noun == 'gpus' else noun}"
        for noun in ("sessions", "cores", "gpus")
        if (q := quota.get(noun) or {}).get("limit") is not None
    ]
    whole = format_number(float(balance.get("available") or 0))
    money = (
        f"{whole} of {credits(balance.get('granted'))} available, {format_number(float(balance.get('held') or 0))} held"
    )
    money += f"; {mine}" if (mine := centre_status.mine(balance)) else ""
    title = str(balance.get("title") or balance["id"])
    return {
        "id": str(balance["id"]),
        "label": f"{title} – {available} credits available",
        "line": f"{money}. In use now: {', '.join(used)}." if used else f"{money}.",
    }


def view(
    centres: Sequence[Facts],
    placement: Facts | None,
    projects: Sequence[Facts],
    problem: Facts | None,
    *,
    contact: str = CONTACT,
) -> dict[str, Any]:
    """Returns everything that the start page says about one request: `rows`, `best`, `places` by centre id ("" = best),
    `projects`, `problem`, `blocked` and one `summary` line for screen readers."""
    blocked = _blocked(centres, placement, projects, problem, contact)
    decided = placement or {}
    request = decided.get("request") or {}
    walltime = duration(request["walltime"]) if request.get("walltime") else ""
    chosen = (decided.get("best") or {}).get("centre", "")
    offers: dict[str, Facts] = {}
    for offer in decided.get("ranked") or ():
        offers.setdefault(offer["centre"], offer)
    refusals: dict[str, list[Facts]] = {}
    for refusal in decided.get("refusals") or ():
        refusals.setdefault(refusal["centre"], []).append(refusal)
    rows = [
        _row(centre, offers.get(str(centre["id"])), refusals.get(str(centre["id"]), []), chosen) for centre in centres
    ]
    best = _best(placement, blocked)
    quotes = {str(quote["centre"]): quote for quote in decided.get("quotes") or ()}
    if chosen in quotes and problem and _of_one_place(problem, placement):
        quotes[chosen] = {"problem": problem}
    places = {row["id"]: _choice(row, offers.get(row["id"]), walltime, blocked, quotes) for row in rows}
    return {
        "blocked": blocked,
        "problem": {key: str(problem.get(key) or "") for key in ("title", "hint", "code")}
        if problem and not _refusal(problem)
        else None,
        "best": best,
        "rows": rows,
        "places": {"": _anywhere(decided.get("best"), walltime, blocked, quotes), **places},
        "projects": [_project(balance) for balance in projects],
        "field": wrong_field(problem),
        "summary": blocked or (f"{best['title']} {best['now']}." if best["now"] else "Checking the centres."),
    }


def wrong_field(problem: Facts | None) -> str:
    """Returns the field of the form that a refusal is about, from the beginning of its sentence ("memory: ..."); "" for
    none."""
    name = str((problem or {}).get("title") or "").partition(": ")[0]
    return name if name in BY_NAME else ""


def _anywhere(offer: Facts | None, walltime: str, blocked: str, quotes: Facts) -> dict[str, Any]:
    if offer is None:
        return nowhere("Best place for you", blocked or "The centres have not been checked yet.")
    return _choice({"name": offer.get("centre_name") or offer["centre"]}, offer, walltime, blocked, quotes)


def _choice(row: Facts, offer: Facts | None, walltime: str, blocked: str, quotes: Facts) -> dict[str, Any]:
    if offer is None:
        return nowhere(
            str(row["name"]),
            blocked or f"{row['name']} can't take this request: {row.get('refusal') or 'it has not been checked yet'}",
        )
    place = place_of(offer, str(row["name"]), walltime, quotes.get(str(offer["centre"])))
    return {**place, "blocked": blocked or place["blocked"]}


# ---- the two answers the hub gives


def offers_document(
    centres: Sequence[Facts],
    placement: Facts | None,
    projects: Sequence[Facts],
    problem: Facts | None,
    *,
    contact: str = CONTACT,
) -> dict[str, Any]:
    """Makes the JSON of `offers_url`: the broker's facts, and `view`, the words made from them."""
    return {
        "centres": list(centres), "placement": placement, "projects": list(projects), "problem": problem,
        "view": view(centres, placement, projects, problem, contact=contact),
    }  # fmt: skip


def environment(*paths: str | Path) -> Environment:
    """Makes a Jinja environment with autoescape and this project's filters, over `paths` first and the product's
    templates last."""
    env = Environment(loader=FileSystemLoader([*map(str, paths), str(TEMPLATES)]), autoescape=True)
    env.filters.update(FILTERS)
    return env


def gpu_models(centres: Iterable[Facts]) -> list[str]:
    return sorted({str(p["gpu_model"]) for c in centres for p in c.get("partitions") or () if p.get("gpu_model")})


def render_form(template_env: Environment, context: Facts) -> str:
    """Renders the options form as HTML, for `spawner.options_form`. `context`: `centres, placement, projects, profiles,
    defaults, problem, offers_url, accounts_url`, and optionally `contact` (whom to ask for a project) and `poll_s`
    (seconds between refreshes)."""
    facts = {
        "centres": [],
        "placement": None,
        "projects": [],
        "problem": None,
        "profiles": [],
        "accounts_url": "",
        "contact": CONTACT,
        "poll_s": 5,
        **context,
    }
    defaults = DEFAULTS | {key: value for key, value in (facts.get("defaults") or {}).items() if value is not None}
    profiles = [*facts["profiles"]]
    known = {p["id"] for p in profiles} | {OWN}
    defaults["profile"] = (
        defaults["profile"] if defaults["profile"] in known else (profiles[0]["id"] if profiles else OWN)
    )
    words = view(facts["centres"], facts["placement"], facts["projects"], facts["problem"], contact=facts["contact"])
    defaults["wrong"] = defaults.get("wrong") or words["field"]
    defaults["centre"] = defaults["centre"] if defaults["centre"] in words["places"] else ""
    template = template_env.get_template("scnet_options.html")
    shown = {"defaults": defaults, "view": words, "own": OWN, "fields": BY_NAME, "figures": FIGURES}
    return template.render({**facts, **shown, "gpu_models": gpu_models(facts["centres"])})
