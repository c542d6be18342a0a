"""Decides and words, without I/O, what a cluster costs: its cost an hour, until when credits last at its size, and what
follows from its budget."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from ...display import times
from ...display.session_states import ON_NODE
from ...errors import BadOption
from ...units import check_credits, format_number, parse_credits
from ..panels.state import plural
from .sizes import Size

Json = dict[str, Any]
Facts = Mapping[str, Any]
WARN_AT = 0.8  # of the budget
YEARS = timedelta(days=365)
FORESEEN = 3 * YEARS  # how far the broker looks ahead
SETTLES = 0.999  # a project's cost an hour may be read a moment before that of its sessions


# ---- the budget


class Stage(Enum):
    WITHIN = "within"
    NEAR = "near"
    REACHED = "reached"


@dataclass(frozen=True, slots=True)
class SpendingLimit:
    """The most credits that a cluster may cost before it stops to grow; None: no limit."""

    credits: float | None = None

    @classmethod
    def of(cls, value: object) -> SpendingLimit:
        """Reads an amount of credits, as a number or text; None: no limit. Raises BadOption."""
        if value is None:
            return cls()
        named = {"option": "budget"}
        return cls(float(parse_credits(value, **named) if isinstance(value, str) else check_credits(value, **named)))

    def stage(self, cost: float) -> Stage:
        if self.credits is None or cost < WARN_AT * self.credits:
            return Stage.WITHIN
        return Stage.NEAR if cost < self.credits else Stage.REACHED

    def refusal(self, cost: float) -> BadOption:
        """Returns the refusal of more jobs."""
        words = (
            f"The cluster's budget of {format_number(self.credits or 0)} credits is used up ({format_number(cost)})."
        )
        return BadOption(words, hint=self._more())

    def problem(self, cost: float) -> Json | None:
        """Returns a title and a hint for people: a warning near the limit, and the consequence at the limit."""
        match self.stage(cost):
            case Stage.WITHIN:
                return None
            case Stage.NEAR:
                used = f"{cost / (self.credits or 1):.0%} of its budget of {format_number(self.credits or 0)} credits"
                hint = "At 100 % no more jobs are started, and workers without work end."
                return {"title": f"The cluster has used {used}.", "hint": f"{hint} {self._more()}", "passing": True}
        refused = self.refusal(cost)
        ends = "No more jobs are started. Workers end as soon as nothing runs on them and no result is on them alone."
        return {"title": str(refused), "hint": f"{ends} {refused.hint}"}

    def _more(self) -> str:
        return f"To allow more: cluster.budget = {2 * (self.credits or 0):g}."


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One job of a cluster as its scheduler sees it: whether its worker is connected, whether tasks run or wait on it,
    and the keys of the results on it."""

    name: str
    connected: bool
    busy: bool = False
    results: frozenset[Any] = frozenset()


def to_end(loads: Sequence[Load]) -> list[str]:
    """Returns the jobs whose end loses nothing: no task is on their worker, and each of its results is on another
    worker that stays."""
    going = [one.name for one in loads if not one.connected]
    copies = Counter(key for one in loads for key in one.results)
    for one in loads:
        if one.connected and not one.busy and all(copies[key] > 1 for key in one.results):
            copies.subtract(one.results)
            going.append(one.name)
    return going


# ---- the cost an hour


@dataclass(frozen=True, slots=True)
class Rate:
    """Credits an hour: of the jobs that run `now`, and of all jobs that are `wanted`, once they run. None: not known,
    because nothing of that size runs at that centre yet, or the centre has no price for it."""

    now: float | None
    wanted: float | None


def rate(jobs: Sequence[tuple[Facts, Size]]) -> Rate:
    """Returns the cost an hour of a cluster's jobs, each with its session document ({} before it is submitted). A job
    that waits costs as much as a running one of the same size at the same centre."""
    known = {_alike(one, size): float(one["per_hour"]) for one, size in jobs if one.get("per_hour") is not None}
    running = [one.get("per_hour") for one, _ in jobs if one.get("live") and one["state"] in ON_NODE]
    wanted = [known.get(_alike(one, size)) for one, size in jobs]
    return Rate(_sum(running), _sum(wanted))


def _alike(session: Facts, size: Size) -> tuple[Any, ...]:
    return session.get("centre"), session.get("partition"), size


def _sum(each: Sequence[float | None]) -> float | None:
    known = [float(one) for one in each if one is not None]
    return sum(known) if len(known) == len(each) else None


# ---- until when credits last


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """Until when what pays for a cluster lasts at its size. `until` is None if it lasts for years."""

    until: datetime | None
    capped: bool = False  # the person's own cap ends first


def outlook(balance: Facts, mine: Sequence[Facts], each: Rate, now: datetime) -> Outlook | None:
    """Returns until when the project's credits last with a cluster of that rate, or the person's cap if that ends
    first, if everything else that runs continues. None: not known.

    `balance` is the project's document at `now`, `mine` are the person's sessions. The broker's own forecast for what
    runs now knows the ends of lots. At a higher rate it is shortened in proportion, which is never too late.
    """
    if not each.now or float(balance.get("per_hour") or 0) < SETTLES * each.now:
        return None
    more = max(0.0, (each.wanted or each.now) - each.now)
    project, cap = _project(balance, more, now), _cap(balance, mine, more, now)
    if project is None or (cap is None and balance.get("own")):
        return None
    if cap and cap.until and (project.until is None or cap.until < project.until):
        return cap
    return project


def _project(balance: Facts, more: float, now: datetime) -> Outlook | None:
    hourly, end = float(balance["per_hour"]), times.read(balance.get("runs_out_now_at"))
    part = hourly / (hourly + more)
    if end is None:
        return Outlook(until=None) if FORESEEN * part >= YEARS else None
    return Outlook(until=now + max(end - now, timedelta()) * part)


def _cap(balance: Facts, mine: Sequence[Facts], more: float, now: datetime) -> Outlook | None:
    own = balance.get("own")
    if not own:
        return None
    live = [one for one in mine if one["project"] == balance["id"] and one["live"]]
    hourly = sum(float(one.get("per_hour") or 0) for one in live) + more
    left = float(own["cap"]) - float(own["spent"]) - sum(float(one.get("in_flight") or 0) for one in live)
    if hourly <= 0:  # its sessions were read before they ran
        return None
    hours = max(0.0, left) / hourly
    return Outlook(until=now + timedelta(hours=hours) if hours < FORESEEN / timedelta(hours=1) else None, capped=True)


# ---- in words


def words(each: Rate, found: Outlook | None, balance: Facts | None, jobs: int) -> str:
    """Returns "2.40 credits an hour, 3.20 when all 4 jobs run. At this size the credits of Climate last until 25 Nov
    14:30 UTC, if everything else that runs continues."; "" while no job runs or the price is not known."""
    if not each.now:
        return ""
    rising = each.wanted is not None and each.wanted > each.now
    whole = f", {format_number(each.wanted or 0)} when all {plural(jobs, 'job')} run" if rising else ""
    return " ".join(filter(None, (f"{format_number(each.now)} credits an hour{whole}.", lasting(each, found, balance))))


def lasting(each: Rate, found: Outlook | None, balance: Facts | None) -> str:
    if found is None or balance is None:
        return ""
    size = "At this size" if each.wanted is not None else "With the jobs that run now"
    title = balance.get("title") or balance["id"]
    until = f"until {times.minute(found.until)}" if found.until else "for years"
    if found.capped:
        cap = format_number(balance["own"]["cap"])
        return f"{size} your own {cap} credits in {title} last {until}, if your other sessions continue."
    return f"{size} the credits of {title} last {until}, if everything else that runs continues."
