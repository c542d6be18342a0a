"""What sessions that are not charged yet have used so far, estimated by the prices of their places.

Prices are looked up once for each place and size, whatever the number of sessions.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from .db import Tx
from .db import open as stored
from .db.open import OpenRow
from .jobs import JobRequest
from .ledger import pricing
from .ledger.courses import Course
from .ledger.tariffs import tariff_of
from .load import Load
from .units import Amount

NOTHING = Amount(0)
Size = tuple[str, str, int, int, str, int, int]


class Flown(NamedTuple):
    """Of some sessions, by id: what each has `used`, what of it is `unpaid` (past months of a session are charged while it runs), and what
    it costs an hour now."""

    used: dict[str, Amount]
    unpaid: dict[str, Amount]
    hourly: dict[str, Amount]

    def total(self) -> Amount:
        """All that is unpaid."""
        return sum(self.unpaid.values(), NOTHING)


def flown(tx: Tx, load: Load, rows: Sequence[OpenRow], now: datetime, month: datetime) -> Flown:
    """As of `now`; `month` is when this month began."""
    flights = Flights(load, now, rows)
    used = {row.id: flights.used(row) for row in rows}
    paid = stored.paid(tx, [row.id for row in rows if used[row.id] and row.started_at and row.started_at < month])
    unpaid = {one: max(NOTHING, amount - Amount(paid.get(one, 0))) for one, amount in used.items()}
    return Flown(used, unpaid, {row.id: flights.hourly(row) for row in rows if row.started_at and row.job_live})


class Flights:
    """As of `now`, for these sessions."""

    def __init__(self, load: Load, now: datetime, rows: Sequence[OpenRow]) -> None:
        self.load, self.now = load, now
        self._since = min((row.started_at for row in rows if row.started_at), default=now)
        self._courses: dict[Size, Course | None] = {}

    def used(self, row: OpenRow) -> Amount:
        """Zero once it is charged, before it runs, and where its place has no price. It may be over the hold: of a lease that could not be
        extended."""
        if row.state == "charged" or not row.started_at or (course := self._course(row)) is None:
            return NOTHING
        return course.cost(row.started_at, max(row.started_at, row.ended_at or self.now))

    def hourly(self, row: OpenRow) -> Amount:
        """What it costs an hour by its centre's page now; nothing where that has no price for it."""
        course = self._course(row)
        return course.hourly(self.now) if course else NOTHING

    def _course(self, row: OpenRow) -> Course | None:
        size = (row.centre, row.partition, row.cores, row.gpus, row.gpu_model, row.memory, row.nodes)
        if size not in self._courses:
            self._courses[size] = self._made(row)
        return self._courses[size]

    def _made(self, row: OpenRow) -> Course | None:
        known = self.load.centres.get(row.centre)
        offered = known.spec.offered(row.partition) if known else None
        if known is None or offered is None:
            return None
        memory = row.memory or row.cores * known.spec.session.memory_per_core
        asked = JobRequest(person=row.person, project=row.project, cores=row.cores, gpus=row.gpus, gpu_model=row.gpu_model, nodes=row.nodes)
        given = known.allotted(asked, row.partition)
        amounts = pricing.held(given.cores, given.gpus, given.gpu_model, memory)
        return Course(tariff_of(known.spec, offered), amounts, min(self._since, self.now), self.now)
