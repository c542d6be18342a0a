"""Describes a centre in words made from its document of docs/reference/rest.md: what fails since when, and what the
centre announces; and how fast a project spends.

Words only, for every client alike: start page, panel and command line say the same. Pure: reads no clock and makes no
calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..units import format_number
from .times import minute

Facts = Mapping[str, Any]


def failing(centre: Facts) -> Facts | None:
    """Returns the first hop that fails: the hops behind it can't be judged."""
    return next((hop for hop in centre.get("hops") or () if not hop["ok"]), None)


def trouble(centre: Facts) -> str:
    """Returns "scheduler failing since 23 Nov 14:02 UTC"; "" if no hop is known to fail."""
    hop = failing(centre)
    return f"{hop['name']} failing since {minute(hop['since'])}" if hop else ""


def why(centre: Facts) -> str:
    """Returns why the centre is not up, with the failing hop and its own message if they are known; "" if the centre is
    up."""
    hop = failing(centre)
    return f"{trouble(centre)}: {hop['why']}" if hop else str(centre.get("why") or "")


def told(centre: Facts) -> list[str]:
    """Returns what the centre announces, now and soon, and its maintenance; a line each."""
    return [
        *(_announced(one) for one in centre.get("announcements") or ()),
        *(_closed(one) for one in centre.get("maintenance") or ()),
    ]


def _announced(one: Facts) -> str:
    when = f"until {minute(one['end'])}" if one["now"] else f"from {minute(one['start'])} to {minute(one['end'])}"
    return f"{one['message'].rstrip('.')} ({'no new sessions ' if one['blocks_starts'] else ''}{when})"


def _closed(one: Facts) -> str:
    why = f": {one['reason']}" if one.get("reason") else ""
    return f"Maintenance from {minute(one['start'])} to {minute(one['end'])}{why}"


def warned(session: Facts) -> list[str]:
    """Returns what the owner of a live session should know now; a line each."""
    return [str(one["message"]) for one in session.get("warnings") or ()] if session.get("live") else []


def pace(project: Facts) -> str:
    """Returns how fast the project spends, and until when its credits last; "" if the broker does not report it."""
    if "burn_rate" not in project:
        return ""
    return f"{_week(project)}.{_now(project)}"


def _week(project: Facts) -> str:
    rate = project["burn_rate"]
    if rate is None:
        return "the rate of spending is not known yet: it needs more than a day of use"
    if not rate:
        return "no credits were spent in the last week"
    lasts = (
        f"credits run out on {project['runs_out_at'][:10]} at this rate"
        if project["runs_out_at"]
        else "credits last for years at this rate"
    )
    return f"{format_number(rate)} credits a day over the last week; {lasts}"


def _now(project: Facts) -> str:
    """Returns the other outlook: if everything that runs at this moment continues."""
    if not project["per_hour"]:
        return ""
    until = project.get("runs_out_now_at")
    lasts = f"until {minute(until)}" if until else "for years"
    return f" Now {format_number(project['per_hour'])} an hour, which lasts {lasts} if all running sessions continue."


def mine(project: Facts) -> str:
    """Returns what a member with a cap may spend: "you may spend 12.00 of your 40.00 credits"; "" without a cap."""
    own = project.get("own")
    return f"you may spend {format_number(own['available'])} of your {format_number(own['cap'])} credits" if own else ""


def available(project: Facts) -> float:
    """Returns what the caller may spend: the project's available credits, or the rest of the caller's cap if that is
    less."""
    own = project.get("own")
    return float(own["available"] if own else project.get("available") or 0)
