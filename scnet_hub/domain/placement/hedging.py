"""When a start that stalls is asked for at one more place, and where: decided without I/O.

A further copy is work for two centres, so it comes only after a patience, at a place where it should start at once or in a hole (after
two, in a further queue), up to so many live copies, and within an hour's budget (measured: docs/explanation/performance.md). Carrying it
out is `second_chances`'.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Protocol

from .policies import Ranked
from .wait_model import Chance

QUEUES = 2  # patiences until a further queue is tried


class Hedge(Protocol):
    """The rule on the federation's page: seconds, and numbers of copies."""

    @property
    def patience(self) -> float: ...
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


def due(rule: Hedge, *, live: int, asked_at: datetime, runs_since: datetime | None, pinned: bool, now: datetime) -> bool:
    """Whether a session that is not ready has waited long enough: `live` copies, the newest `asked_at`, one of them running
    `runs_since` (None: none). What runs has longer, to call home."""
    if not 0 < live < rule.copies:
        return False
    if runs_since:
        return now - runs_since >= timedelta(seconds=rule.start_patience)
    return now - asked_at >= timedelta(seconds=_patience(rule, pinned) * live)


def anywhere(rule: Hedge, *, asked_at: datetime, pinned: bool, now: datetime) -> bool:
    """Whether what was first `asked_at` has waited so long that a further queue is worth its while too."""
    return now - asked_at >= timedelta(seconds=QUEUES * _patience(rule, pinned))


def affordable(rule: Hedge, *, asked: int, further: int, centres: int) -> bool:
    """Whether one more further copy stays within the budget of so many centres, `asked` and `further` copies having been asked for in
    the last hour."""
    return further < rule.extra_free * centres + rule.extra_share * asked


def where(untried: Iterable[Ranked], *, anywhere: bool = False) -> Ranked | None:
    """Of the places that were not tried, best first, the one to ask beside the others; None if it would help at none. A hole is
    enough: what has waited past the patience has lost its own. `anywhere`: where there is none, the best queue, because a place in two
    queues is one in the faster of them (simulated: docs/explanation/simulation.md)."""
    places = list(untried)
    return next((one for one in places if one.wait.chance <= Chance.HOLE), places[0] if places and anywhere else None)


def _patience(rule: Hedge, pinned: bool) -> float:
    return rule.pinned_patience if pinned else rule.patience
