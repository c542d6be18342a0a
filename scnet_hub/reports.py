"""What the federation tells: sessions, centres, balances and entries as the documents of docs/reference/rest.md.

Reads the database and what is known of the centres; changes nothing and asks no centre.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from . import allocations, documents, projects
from .db import Database, Tx
from .db import accounts as stored_accounts
from .db import allocations as stored_allocations
from .db import entries as stored_entries
from .db import lots as stored_lots
from .db import projects as stored_projects
from .db import sessions as stored
from .db.projects import ProjectRow
from .db.sessions import SessionRow
from .ledger import books, pricing
from .lifecycle import walltime_end
from .load import Load
from .notices import Notice, notices
from .orphans import Orphan
from .standard.centre import PartitionSpec
from .units import CREDIT, Amount

Json = dict[str, Any]


class Reports:
    """Reports on the centres in `load`; `clock` says how old facts are."""

    def __init__(self, db: Database, load: Load, clock: Callable[[], datetime]) -> None:
        self.db, self.load, self.clock = db, load, clock

    def in_flight(self, row: SessionRow) -> Amount:
        """An estimate of what a running session has used so far; never over its hold, zero once it is charged."""
        if row.state == "charged" or not row.started_at:
            return Amount(0)
        offered = self._offered(row)
        if offered is None:
            return Amount(0)
        hourly = pricing.per_hour(row.request["cores"], row.request["gpus"], core_hour=offered.tariff.core_hour, gpu_hour=offered.gpu_price)
        return min(pricing.cost(hourly, (row.ended_at or self.clock()) - row.started_at), Amount(row.held))

    def _offered(self, row: SessionRow) -> PartitionSpec | None:
        known = self.load.centres.get(row.centre)
        return known.spec.offered(row.partition) if known else None

    async def sessions(self, rows: list[SessionRow], *, whole: bool = False) -> list[Json]:
        return await self.db.run(self._sessions, rows, whole)

    def _sessions(self, tx: Tx, rows: list[SessionRow], whole: bool) -> list[Json]:
        events = stored.log(tx, [row.id for row in rows])
        found = [
            documents.session(row, self.load.centres.get(row.centre), events[row.id], self.in_flight(row), warnings=self.warnings(row))
            for row in rows
        ]
        return [document | self._whole(tx, row) for document, row in zip(found, rows, strict=True)] if whole else found

    def _whole(self, tx: Tx, row: SessionRow) -> Json:
        """What only the document of one session says."""
        behind = stored.next_in_line(tx, row.id)
        centres = {name: known.spec.name for name, known in self.load.centres.items()}
        return {
            "placement": row.placement,
            "copies": [documents.copy(one, centres.get(one.centre, one.centre)) for one in stored.copies_of(tx, row.id)],
            "successor": documents.successor(behind, centres.get(behind.centre, behind.centre)) if behind else None,
            "succeeded_by": behind.id if behind and not behind.in_line else "",
        }

    async def orphans(self, found: Iterable[Orphan]) -> Json:
        """Jobs without a session, and sessions without a job."""
        rows = [row for row in await self.db.run(stored.live_copies) if row.forgotten_since]
        return {
            "jobs": [documents.orphan(one) for one in found],
            "sessions": [documents.forgotten(row, self.load.centres[row.centre]) for row in rows if row.centre in self.load.centres],
        }

    def warnings(self, row: SessionRow) -> list[Notice]:
        """What its person should know of a live session now."""
        known, now = self.load.centres.get(row.centre), self.clock()
        if known is None or not row.live:
            return []
        ends_at = walltime_end(row) or now + timedelta(seconds=row.request["walltime_s"])
        return notices(
            known.spec, known.health.failing(), ends_at=ends_at, unknown_since=row.unknown_since, unknown_why=row.unknown_why, now=now
        )

    async def centres(self, person: str) -> list[Json]:
        """Every centre, as `person` finds it; "" is nobody in particular."""
        return await self.db.run(self._centres, person)

    def _centres(self, tx: Tx, person: str) -> list[Json]:
        rows = stored.live(tx, person=person) if person else []
        mine = {row.centre: row.account for row in stored_accounts.links(tx, person=person)} if person else {}
        return [documents.centre(known, rows, mine.get(name, ""), self.clock()) for name, known in self.load.centres.items()]

    async def accounts(self, person: str, *, ended: bool = False) -> list[Json]:
        """Who is linked to which account; everybody's for the person ""; with `ended` the whole history."""
        return [documents.account(row) for row in await self.db.run(stored_accounts.links, person=person, ended=ended)]

    async def balances(self, person: str) -> list[Json]:
        """A balance for each project of `person`; of every project for the person ""."""
        return await self.db.run(self._balances, person)

    def _balances(self, tx: Tx, person: str) -> list[Json]:
        mine = stored_projects.of(tx, person) if person else stored_projects.all_projects(tx)
        return [self._balance(tx, project) for project in mine]

    def _balance(self, tx: Tx, project: ProjectRow) -> Json:
        rows = [*stored.live(tx, project=project.id), *stored.uncharged(tx, project.id)]
        in_flight = sum((self.in_flight(row) for row in rows), Amount(0))
        ending = allocations.ending(stored_lots.of(tx, project.id, CREDIT), self.clock())
        return documents.balance(project, books.balance(tx, project.id), projects.use(tx, project.id), in_flight, ending)

    async def allocations(self, person: str, *, project: str = "", state: str = "") -> list[Json]:
        """Of the projects of `person`; of every project for the person ""."""
        return await self.db.run(self._allocations, person, project, state)

    def _allocations(self, tx: Tx, person: str, project: str, state: str) -> list[Json]:
        mine = {one.id for one in stored_projects.of(tx, person)} if person else None
        rows = stored_allocations.of(tx, project=project, state=state)
        return [documents.allocation(row) for row in rows if mine is None or row.project in mine]

    async def project(self, person: str, project: str) -> Json | None:
        """A project of `person`, or any for the person "": its balance, people, lots and allocations."""
        return await self.db.run(self._project, person, project)

    def _project(self, tx: Tx, person: str, project: str) -> Json | None:
        row = stored_projects.get(tx, project)
        if row is None or (person and project not in [one.id for one in stored_projects.of(tx, person)]):
            return None
        people = [documents.member(one, *stored.spent_by(tx, project, one.person)) for one in stored_projects.people(tx, project)]
        lots = [documents.lot(one) for one in stored_lots.of(tx, project, CREDIT)]
        return self._balance(tx, row) | {
            "kind": row.kind, "members": people, "lots": lots, "allocations": self._allocations(tx, "", project, ""),
        }  # fmt: skip

    async def entries(self, project: str) -> list[Json]:
        return [documents.entry(number, entry) for number, entry in await self.db.run(stored_entries.newest, project)]
