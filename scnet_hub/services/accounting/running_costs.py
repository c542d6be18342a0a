"""Estimates the cost so far of sessions that are not charged yet, by the prices of their places.

Prices are looked up once for each place and size, whatever the number of sessions.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from ...adapters.db.database import Tx
from ...adapters.db.queries import open_sessions as open_session_rows
from ...adapters.db.queries.open_sessions import OpenRow
from ...display.session_states import CHARGED
from ...domain.centres.state import CentreStates
from ...domain.jobs import JobRequest
from ...domain.pricing import rates
from ...domain.pricing.cost_curves import Course
from ...domain.pricing.tariffs import tariff_of
from ...units import Amount


class Flown(NamedTuple):
    """Amounts of some sessions, in micro-credits by id: `used` so far, the `unpaid` part of it (past months of a
    session are charged while it runs), and the hourly cost of a running one. A session without a price is missing, or
    at 0."""

    used: dict[str, int]
    unpaid: dict[str, int]
    hourly: dict[str, int]

    def total(self) -> Amount:
        """Returns the sum of all unpaid amounts."""
        return Amount(sum(self.unpaid.values()))

    def per_hour(self, session: str) -> Amount | None:
        """Returns the hourly cost of that session; None if it does not run, or has no price."""
        return Amount(self.hourly[session]) if session in self.hourly else None


def flown(tx: Tx, states: CentreStates, rows: Sequence[OpenRow], now: datetime, month: datetime) -> Flown:
    """Estimates as of `now`; `month` is when this month began. `used` may exceed the hold, if a lease could not be
    extended."""
    since = min((row.started_at for row in rows if row.started_at), default=now)
    used, hourly = dict.fromkeys((row.id for row in rows), 0), dict[str, int]()
    for some in _by_size(rows).values():
        if (course := _course(states, some[0], min(since, now), now)) is None:
            continue
        each = course.hourly(now)
        for row in some:
            if not row.started_at or row.state == CHARGED:
                continue
            used[row.id] = course.micros(row.started_at, max(row.started_at, row.ended_at) if row.ended_at else now)
            if row.job_live:
                hourly[row.id] = each
    old = [row.id for row in rows if row.started_at and row.started_at < month and used[row.id]]
    unpaid = used | {one: max(0, used[one] - paid) for one, paid in open_session_rows.paid(tx, old).items()}
    return Flown(used, unpaid, hourly)


def _by_size(rows: Sequence[OpenRow]) -> dict[tuple[object, ...], list[OpenRow]]:
    """Groups the sessions that cost the same."""
    found: dict[tuple[object, ...], list[OpenRow]] = {}
    for row in rows:
        found.setdefault(
            (row.centre, row.partition, row.cores, row.gpus, row.gpu_model, row.memory, row.nodes), []
        ).append(row)
    return found


def _course(states: CentreStates, row: OpenRow, since: datetime, now: datetime) -> Course | None:
    """Returns the cost curve of such a session at its place; None for a place that the pages no longer have."""
    known = states.centres.get(row.centre)
    offered = known.spec.offered(row.partition) if known else None
    if known is None or offered is None:
        return None
    memory = row.memory or row.cores * known.spec.session.memory_per_core
    asked = JobRequest(
        person=row.person, project=row.project, cores=row.cores, gpus=row.gpus, gpu_model=row.gpu_model, nodes=row.nodes
    )
    given = known.allotted(asked, row.partition)
    return Course(
        tariff_of(known.spec, offered), rates.held(given.cores, given.gpus, given.gpu_model, memory), since, now
    )
