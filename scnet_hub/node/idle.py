"""Decides when a session has been idle for so long that it should end, and when to warn its person. Pure.

Idle means that nothing runs and nothing happened; activity.py and steward.py read the signs. Times are seconds of one
monotonic clock. A session is stopped only after its warning has been visible for its whole lead.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

LONGEST_LEAD = 600.0  # seconds that a warning is visible before the end; half of the timeout, if that is less


class Action(Enum):
    NOTHING, WARN, STOP = "nothing", "warn", "stop"


@dataclass(frozen=True, slots=True)
class Signs:
    """`busy`: what runs now, one phrase for each; `last`: when something last happened."""

    busy: tuple[str, ...] = ()
    last: float = float("-inf")


@dataclass(frozen=True, slots=True)
class Idle:
    """A session that has been idle `since`; warned of the end at `warned_at`."""

    since: float
    warned_at: float | None = None


def lead(timeout: float) -> float:
    return min(LONGEST_LEAD, timeout / 2)


def stops_at(idle: Idle, timeout: float) -> float | None:
    """Returns when the session will be stopped if nothing else happens; None: never."""
    if timeout <= 0:
        return None
    return max(idle.since + timeout, (idle.warned_at or idle.since) + lead(timeout))


def judge(before: Idle, signs: Signs, now: float, timeout: float) -> tuple[Idle, Action]:
    """Returns the new state after the signs seen at `now`, and what to do. A `timeout` of 0 never stops anything."""
    since = min(now, max(before.since, now if signs.busy else signs.last))
    idle = Idle(since, before.warned_at if since == before.since else None)
    if timeout <= 0 or now < since + timeout - lead(timeout):
        return idle, Action.NOTHING
    if idle.warned_at is None:
        return replace(idle, warned_at=now), Action.WARN
    end = stops_at(idle, timeout)
    return idle, Action.STOP if end is not None and now >= end else Action.NOTHING
