"""Exports the decision log: pages of decisions with their inputs, oldest first, so that others can repeat the
decisions.

The caller does the work: here rows are only read, a few at a time with room for others in between, because the broker's
database has one thread. A page ends early where its decisions use many snapshots; inputs that several of them use are
included once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ...adapters.db.database import Tx
from ...adapters.db.queries import decisions as decision_rows
from ...adapters.db.queries.decisions import DecisionRow
from ...domain.placement import record
from ..documents import iso
from . import explanations
from .decision_log import AT_ONCE, DecisionLog

Json = dict[str, Any]
DECISIONS, SNAPSHOTS = 20, 100  # on a page; one decision in a large federation may use more


@dataclass(slots=True)
class _Page:
    decisions: list[Json] = field(default_factory=list)
    terms: dict[str, Any] = field(default_factory=dict)
    wanted: dict[record.Snapshot, None] = field(default_factory=dict)
    last: DecisionRow | None = None
    left: int = 0


async def page(log: DecisionLog, since: datetime, until: datetime, after: str = "") -> Json:
    """Returns a page of first decisions about starts (not of further copies), made after `since` (of those at that
    instant, after the decision of id `after`) and not after `until`. `next` is the next page's cursor, None on
    the last page; `left` counts this page's decisions too."""
    await log.flush()
    names, now = {name: known.spec.name for name, known in log.states.centres.items()}, log.clock()
    found = await log.db.query(_read, since, until, after, names, now)
    return {
        "as_of": iso(now),
        "since": since.isoformat(),
        "until": until.isoformat(),
        "replay_days": log.spec.replay_days,
        "left": found.left,
        "decisions": found.decisions,
        "terms": found.terms,
        "snapshots": await _snapshots(log, list(found.wanted)),
        "next": _next(found, until),
    }


def _read(tx: Tx, since: datetime, until: datetime, after: str, names: explanations.Names, now: datetime) -> _Page:
    found = _Page(left=decision_rows.count_first(tx, since, until, after))
    for row in decision_rows.page_of_first(tx, since, until, after, DECISIONS):
        long = decision_rows.inputs(tx, row.id)
        if long.terms not in found.terms:
            found.terms[long.terms] = decision_rows.terms_of(tx, long.terms)
        terms = found.terms[long.terms]
        found.wanted |= dict.fromkeys(record.snapshots(long.inputs, terms, row.decided_at) if terms is not None else ())
        kept = {"at": row.decided_at.isoformat(), "request": long.request, "own": long.inputs, "terms": long.terms}
        found.decisions.append(explanations.line(row, names, now) | {"record": kept})
        found.last = row
        if len(found.wanted) >= SNAPSHOTS:
            break
    return found


async def _snapshots(log: DecisionLog, wanted: Sequence[record.Snapshot]) -> list[Json]:
    """Returns the snapshots that are still kept."""
    found: list[Json] = []
    for start in range(0, len(wanted), AT_ONCE):
        some = await log.db.query(decision_rows.loads, wanted[start : start + AT_ONCE])
        found += [
            {"centre": centre, "taken_at": at.isoformat(), "loads": loads} for (centre, at), loads in some.items()
        ]
    return found


def _next(found: _Page, until: datetime) -> str | None:
    """Returns the cursor of the next page: the time and id of this page's last decision, and the end of the requested
    time."""
    if found.last is None or found.left <= len(found.decisions):
        return None
    return "~".join((found.last.decided_at.isoformat(), found.last.id, until.isoformat()))
