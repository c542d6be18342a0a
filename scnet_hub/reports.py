"""What the federation tells: sessions, centres, balances and entries as the documents of docs/reference/rest.md.

Reads the database and what is known of the centres; changes nothing and asks no centre.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from . import allocations, documents, quotas
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
from .ledger.tariffs import NoPrice, tariff_of
from .lifecycle import walltime_end
from .load import Load
from .notices import Notice, notices
from .orphans import Orphan
from .sessions import asked
from .spending import Spending
from .standard.federation import FederationSpec
from .units import CREDIT, Amount

Json = dict[str, Any]


class Reports:
    """Reports on the centres in `load`; `clock` says how old facts are."""

    def __init__(self, db: Database, load: Load, clock: Callable[[], datetime], spec: FederationSpec) -> None:
        self.db, self.load, self.clock, self.spec = db, load, clock, spec
        self.spending = Spending(db, load, clock, spec.time_zone, self.unpaid)

    def in_flight(self, row: SessionRow) -> Amount:
        """An estimate of what a running session has used so far, by the prices of its place; zero once it is charged, and where that has
        none. It may be over the hold: of a lease that nobody could extend."""
        known = self.load.centres.get(row.centre)
        offered = known.spec.offered(row.partition) if known else None
        if row.state == "charged" or not row.started_at or known is None or offered is None:
            return Amount(0)
        memory = row.request["memory"] or row.request["cores"] * known.spec.session.memory_per_core
        given = known.allotted(asked(row), row.partition)
        amounts = pricing.held(given.cores, given.gpus, given.gpu_model, memory)
        until = max(row.started_at, row.ended_at or self.clock())
        try:
            return pricing.bill_of_run(tariff_of(known.spec, offered), amounts, row.started_at, until).total
        except NoPrice:
            return Amount(0)

    def unpaid(self, tx: Tx, row: SessionRow) -> Amount:
        """The same, less what was charged of it while it runs: its past months."""
        used = self.in_flight(row)
        if not used or not row.started_at or row.started_at >= self.spending.month(self.clock()):
            return used
        paid = sum((books.paid(charged) for charged in stored_entries.charges_of(tx, row.id)), Amount(0))
        return max(Amount(0), used - paid)

    async def sessions(self, rows: list[SessionRow], *, whole: bool = False) -> list[Json]:
        return await self.db.run(self._sessions, rows, whole)

    def _sessions(self, tx: Tx, rows: list[SessionRow], whole: bool) -> list[Json]:
        events = stored.log(tx, [row.id for row in rows])
        found = [
            documents.session(row, self.load.centres.get(row.centre), events[row.id], self.unpaid(tx, row), warnings=self.warnings(row))
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
            known.spec, known.health.failing(), ends_at=ends_at, unknown_since=row.unknown_since, unknown_why=row.unknown_why, now=now,
            leased_until=row.leased_until, lease_end="" if row.cancelled_at else row.lease_end,
        )  # fmt: skip

    async def centres(self, person: str) -> list[Json]:
        """Every centre, as `person` finds it; "" is nobody in particular."""
        return await self.db.run(self._centres, person)

    def _centres(self, tx: Tx, person: str) -> list[Json]:
        rows = stored.live(tx, person=person) if person else []
        mine = {row.centre: row.account for row in stored_accounts.links(tx, person=person)} if person else {}
        ceilings = quotas.told_at(tx, [known.spec for known in self.load.centres.values()], person)
        return [
            documents.centre(known, rows, mine.get(name, ""), self.clock()) | {"quota": ceilings.get(name, [])}
            for name, known in self.load.centres.items()
        ]

    async def accounts(self, person: str, *, ended: bool = False) -> list[Json]:
        """Who is linked to which account; everybody's for the person ""; with `ended` the whole history."""
        return [documents.account(row) for row in await self.db.run(stored_accounts.links, person=person, ended=ended)]

    async def balances(self, person: str) -> list[Json]:
        """A balance for each project of `person`; of every project for the person ""."""
        return await self.db.run(self._balances, person)

    def _balances(self, tx: Tx, person: str) -> list[Json]:
        mine = stored_projects.of(tx, person) if person else stored_projects.all_projects(tx)
        return [self._balance(tx, project, person) for project in mine]

    def _balance(self, tx: Tx, project: ProjectRow, person: str) -> Json:
        rows = [*stored.live(tx, project=project.id), *stored.uncharged(tx, project.id)]
        flights = [(self.in_flight(row), Amount(row.held)) for row in rows]
        in_flight = sum((self.unpaid(tx, row) for row in rows), Amount(0))
        lots = stored_lots.of(tx, project.id, CREDIT)
        ending = allocations.ending(lots, self.clock())
        over = sum((max(Amount(0), used - held) for used, held in flights), Amount(0))
        money = books.balance(tx, project.id)  # what runs over its hold will come off what is available
        money = replace(money, on_hold=money.on_hold + over, available=money.available - over)
        found = documents.balance(project, money, in_flight, ending)
        return found | quotas.told(tx, self.spec, project, person) | self.spending.outlook(tx, project.id, lots, rows, in_flight)

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
        lots, found = stored_lots.of(tx, project, CREDIT), self._balance(tx, row, person)
        return found | {
            "kind": row.kind, "members": people, "lots": [documents.lot(one) for one in lots],
            "allocations": self._allocations(tx, "", project, ""), "burning": self.spending.burning(tx, project, lots, found["in_flight"]),
        }  # fmt: skip

    async def entries(self, project: str) -> list[Json]:
        return [documents.entry(number, entry) for number, entry in await self.db.run(stored_entries.newest, project)]
