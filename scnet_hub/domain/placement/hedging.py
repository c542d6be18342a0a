"""Decides, without I/O, when a stalled start is submitted to one more place, and where.

A further copy is work for two centres, so it comes only after a patience, at a place where it should start at once or
in a hole (after two patiences, in a further queue), up to so many live copies, and within an hourly budget (measured:
docs/explanation/performance.md). `second_chances` carries it out.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Protocol

from .policies import Ranked
from .wait_model import Chance

QUEUES = 2  # patiences until a further queue is tried
FOR_PEOPLE = 0.25  # of the budget, only for sessions for which a person waits


class Hedge(Protocol):
    """The settings of the federation's page: seconds, and numbers of copies."""

    @property
    def patience(self) -> float: ...
    @property
    def job_patience(self) -> float: ...
    @property
    def pinned_patience(self) -> float: ...
    @property
    def start_patience(self) -> float: ...
    @property
    def copies(self) -> int: ...
    @property
    def extra_free(self) -> int: ...
    @property
    def extra_share(self) -> float: ...


def due(
    rule: Hedge,
    *,
    live: int,
    asked_at: datetime,
    runs_since: datetime | None,
    pinned: bool,
    now: datetime,
    job: bool = False,
) -> bool:
    """Tells whether a session that is not ready has waited long enough: `live` copies, the newest `asked_at`, one of
    them running since `runs_since` (None: none). A running copy has longer, to call home. `job`: not a Lab."""
    if not 0 < live < rule.copies:
        return False
    if runs_since:
        return now - runs_since >= timedelta(seconds=rule.start_patience)
    return now - asked_at >= timedelta(seconds=_patience(rule, pinned, job) * live)


def anywhere(rule: Hedge, *, asked_at: datetime, pinned: bool, now: datetime, job: bool = False) -> bool:
    """Tells whether a session first `asked_at` has waited so long that a further queue is worthwhile too."""
    return now - asked_at >= timedelta(seconds=QUEUES * _patience(rule, pinned, job))


def affordable(rule: Hedge, *, asked: int, further: int, centres: int, waits: bool = True) -> bool:
    """Tells whether one more further copy stays within the budget of so many centres, given `asked` and `further`
    copies in the last hour. `waits`: a person waits for it, so it may use the whole budget."""
    budget = rule.extra_free * centres + rule.extra_share * asked
    return further < (budget if waits else budget * (1 - FOR_PEOPLE))


def where(untried: Iterable[Ranked], *, anywhere: bool = False) -> Ranked | None:
    """Returns the place for a further copy, from the untried places, best first; None if no place would help. A hole is
    enough: a copy that has waited past the patience has lost its own. `anywhere`: without a hole, the best queue,
    because a place in two queues is a place in the faster of them (simulated: docs/explanation/simulation.md)."""
    places = list(untried)
    return next((one for one in places if one.wait.chance <= Chance.HOLE), places[0] if places and anywhere else None)


def _patience(rule: Hedge, pinned: bool, job: bool) -> float:
    """Returns the seconds to wait. A job's surplus copy ends before its program begins, so it costs little; a Lab's has
    started a server."""
    return rule.pinned_patience if pinned else rule.job_patience if job else rule.patience
