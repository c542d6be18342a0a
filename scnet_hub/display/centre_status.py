"""How a centre stands, in words made from its document of docs/reference/rest.md: what fails there since when, what it
announces; and how fast a project spends.

Words only, for every client alike: start page, panel and command line say the same. Reads no clock and asks nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..units import format_number
from .times import minute

Facts = Mapping[str, Any]


def failing(centre: Facts) -> Facts | None:
    """The first hop that fails: those behind it can't be judged."""
    return next((hop for hop in centre.get("hops") or () if not hop["ok"]), None)


def trouble(centre: Facts) -> str:
    """ "scheduler fails since 23 Nov 14:02 UTC"; "" where nothing is known to fail."""
    hop = failing(centre)
    return f"{hop['name']} fails since {minute(hop['since'])}" if hop else ""


def why(centre: Facts) -> str:
    """What is wrong with it, with the failing hop and its own words where they are known; "" if nothing is."""
    hop = failing(centre)
    return f"{trouble(centre)}: {hop['why']}" if hop else str(centre.get("why") or "")


def told(centre: Facts) -> list[str]:
    """What the centre announces, now and soon, and its maintenance; a line each."""
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
    """What the person of a live session should know of it now; a line each."""
    return [str(one["message"]) for one in session.get("warnings") or ()] if session.get("live") else []


def pace(project: Facts) -> str:
    """How fast it spends, and until when that lasts; "" from a broker that does not say."""
    if "burn_rate" not in project:
        return ""
    return f"{_week(project)}.{_now(project)}"


def _week(project: Facts) -> str:
    rate = project["burn_rate"]
    if rate is None:
        return "how fast it spends is not known yet: that takes more than a day of use"
    if not rate:
        return "nothing was spent in the last week"
    lasts = (
        f"runs out on {project['runs_out_at'][:10]} at this rate"
        if project["runs_out_at"]
        else "lasts for years at this rate"
    )
    return f"{format_number(rate)} credits a day over the last week; {lasts}"


def _now(project: Facts) -> str:
    """The other outlook: of what runs at this moment."""
    if not project["per_hour"]:
        return ""
    until = project.get("runs_out_now_at")
    lasts = f"until {minute(until)}" if until else "for years"
    return f" Now {format_number(project['per_hour'])} an hour, which lasts {lasts} if all of it runs on."


def mine(project: Facts) -> str:
    """What a member with a cap may spend of it: "you may spend 12.00 of your 40.00"; "" without a cap."""
    own = project.get("own")
    return f"you may spend {format_number(own['available'])} of your {format_number(own['cap'])} credits" if own else ""


def available(project: Facts) -> float:
    """What the person who asks may spend of it: the project's, or the rest of their own cap where that is less."""
    own = project.get("own")
    return float(own["available"] if own else project.get("available") or 0)
