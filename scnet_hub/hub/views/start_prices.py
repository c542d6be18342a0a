"""Describes, for the start page, when a session starts at a place, what the place costs, and what prevents a start
there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...units import format_number
from .request_words import credits, duration, figure

Facts = Mapping[str, Any]
UNLINKED = "you have no account linked here"
COMMAND_LINE = ": see `scnet accounts`"  # the broker's addition to the sentence; the page has a link instead
FIGURES = {
    "low": "At least", "expected": "Probably", "max": "At most", "after_first": "Left when it starts",
    "after_max": "Left at the maximum",
}  # fmt: skip


def start_of(offer: Facts) -> str:
    if offer.get("wait") == "now":
        return "Now"
    if (seconds := offer.get("expected_start_s")) is not None:
        return f"In about {duration(seconds)}" if seconds >= 1 else "Now"
    words = str(offer.get("expected_start") or "later")
    return words[:1].upper() + words[1:]


def place_of(offer: Facts, name: str, walltime: str, quote: Facts | None) -> dict[str, Any]:
    """Describes one place: the button, the cost, and what prevents a start ("" = nothing)."""
    return {
        "title": f"{name}: {start_of(offer)[:1].lower()}{start_of(offer)[1:]}",
        "button": f"Start now at {name}" if start_of(offer) == "Now" else f"Queue at {name}",
        **(_priced(offer, walltime) if quote is None else _quoted(quote)),
    }


def _priced(offer: Facts, walltime: str) -> dict[str, Any]:
    """Describes the cost of a place that has no quote."""
    cost, known = float(offer.get("cost") or 0), offer.get("available_after")
    left = float(known or 0)
    span = f" for {walltime}" if walltime else ""
    held = f"After this session: at most {credits(cost)} held{span}"
    short = left < 0
    words = (
        f"{held}."
        if known is None or short
        else f"{held}, {format_number(left)} available. Unused credits are released."
    )
    return {"cost": words, "blocked": _short(-left) if short else "", "figures": None}


def _quoted(quote: Facts) -> dict[str, Any]:
    """Describes the cost from the quote: its numbers, what is held, and whether the project can pay."""
    if quote.get("problem"):
        return {"cost": "", "blocked": problem_words(quote["problem"]), "figures": None}
    figures = {name: figure(quote.get(name)) for name in FIGURES}
    span = duration(quote["held_first_s"])
    if quote["held_first_s"] < quote["walltime_s"]:
        held = f"The session holds {figure(quote['held_first'])} credits at first, for {span}, and more while it runs."
    else:
        held = f"The session holds {figure(quote['held_first'])} credits, for {span}."
    if note := quote.get("note"):
        held += f" {note}"
    short, worst = -(quote.get("after_first") or 0), quote.get("after_max") or 0
    if worst < 0:
        held += (
            " The project can't pay for the whole time: unless it gets more credits, the session will be stopped when "
            "they run out, with notebooks saved."
        )
    else:
        held += " Unused credits are released."
    return {"cost": held, "blocked": _short(short) if short > 0 else "", "figures": figures}


def _short(lacks: float) -> str:
    return f"This project lacks {credits(lacks)}: choose a shorter time, a smaller size or another project."


def nowhere(title: str, blocked: str) -> dict[str, Any]:
    return {"title": title, "button": "Start", "cost": "", "blocked": blocked, "figures": None}


def problem_words(problem: Facts) -> str:
    words = (str(problem.get("title") or "An unknown error happened."), str(problem.get("hint") or ""))
    return " ".join(filter(None, words)).replace(COMMAND_LINE, "")
