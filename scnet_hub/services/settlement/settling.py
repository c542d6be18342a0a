"""Keeps settlement between members. `closing` begins, closes and cuts months, `answers` keeps members' answers, `board`
is for operators, `exports` writes bills and usage. This file is the door to them, with the federation's page and clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ...adapters.db.database import Database, Tx
from ...adapters.db.queries import periods as period_rows
from ...adapters.db.queries import statements as statement_rows
from ...adapters.db.queries.statements import StatementRow
from ...domain.centres.state import CentreStates
from ...domain.ledger.splits import FEDERATION
from ...domain.settlement.settlement import Settlement, parts
from ...domain.standard.federation import FederationSpec
from ...errors import NotEntitled
from ..accounting import sealing
from ..periodic import run_every
from . import answers, closing, documents, exports
from .answers import Reader
from .board import board, hindering

Json = dict[str, Any]
EVERY = 20.0  # seconds from one look to the next
PAGE = 500  # entries of a statement on one page
Name = tuple[str, str, str]  # a statement's period, unit and member


class Settling:
    """The settlement of one federation, by its page."""

    def __init__(self, db: Database, spec: FederationSpec, states: CentreStates, clock: Callable[[], datetime]) -> None:
        self.db, self.spec, self.states, self.clock = db, spec, states, clock
        self.rules = closing.rules_of(spec)

    @property
    def titles(self) -> dict[str, str]:
        """Returns the names of members, by id."""
        centres = {name: known.spec.name for name, known in self.states.centres.items()}
        grantors = {one.id: one.title for one in self.spec.grantor if one.title}
        return {
            FEDERATION: self.spec.name,
            **centres,
            **grantors,
            **{one.id: one.title for one in self.spec.member if one.title},
        }

    def reader(self, person: str, *, operator: bool) -> Reader:
        members = frozenset(one.id for one in self.spec.member if person and person in one.people)
        return Reader(person=person, members=members, operator=operator)

    # ---- in the background

    async def run(self) -> None:
        """Runs until cancelled."""
        await run_every(self.once, EVERY, what="keeping the months")

    async def once(self) -> None:
        """Begins and closes months, accepts unanswered statements, and finishes making statements that were
        interrupted."""
        rows = await self.db.run(self._keep, self.clock())
        for row in rows:
            if row.cut and row.state == "closing":
                await self._issue(row.name)

    def _keep(self, tx: Tx, now: datetime) -> list[period_rows.PeriodRow]:
        closing.begin(tx, self.rules.zone, now)
        answers.lapse(tx, now)
        return period_rows.every(tx)

    # ---- months

    async def board(self) -> Json:
        return await self.db.read(board, self.rules, self.titles, self.clock())

    async def periods(self, reader: Reader) -> list[Json]:
        return await self.db.read(self._periods, reader)

    def _periods(self, tx: Tx, reader: Reader) -> list[Json]:
        """Returns periods, newest first; only operators see the reasons that block them."""
        rows, now = period_rows.every(tx), self.clock()
        return [
            documents.period(row, hindering(tx, row, rows, self.rules, now) if reader.operator else ())
            for row in reversed(rows)
        ]

    async def period(self, name: str) -> Json:
        return await self.db.read(self._period, name)

    def _period(self, tx: Tx, name: str) -> Json:
        rows, now = period_rows.every(tx), self.clock()
        row = closing.month(rows, name)
        waiting, records = period_rows.suspended(tx, closing.period(row).end)
        ran = period_rows.work(tx, closing.period(row).start, closing.period(row).end)
        excuses = row.terms.get("excuses", {})
        document = documents.period(row, hindering(tx, row, rows, self.rules, now)) | {
            "centres": [
                {
                    "centre": one.centre, "name": self.titles.get(one.centre, one.centre), "ran": one.centre in ran,
                    "missing": list(one.missing), "excuse": one.excuse,
                }
                for one in closing.completeness(tx, row, excuses)
            ],
            "suspense": [{"id": one.id, "centre": one.centre, "record": one.record,
            "reason": one.reason} for one in records], "suspended": waiting,
        }  # fmt: skip
        if row.state != "closed":
            return document
        return document | self._told(statement_rows.list_for(tx, period=row.name), row.name)

    def _told(self, rows: list[StatementRow], name: str) -> Json:
        reader = Reader(person="", operator=True)
        return {
            "statements": [documents.statement(one, self.titles, reader, self.clock()) for one in rows],
            "netting": documents.netted(name, rows, self.titles),
        }

    async def close(self, name: str, by: str, excuses: Mapping[str, str]) -> Json:
        """Closes a month: the cut, then its statements. Raises Refused with everything that blocks it."""
        closing.known_excuses(excuses, self.states.centres)
        while await self.db.run(sealing.seal) == sealing.SEALED:  # so that the cut itself has little left to seal
            pass
        await self.db.run(self._keep, self.clock())
        await self.db.read(self._possible, name, excuses)
        await self.db.run(closing.cut, name, self.rules, excuses, by, self.clock())
        await self._issue(name)
        found = await self.period(name)
        return {"period": found, "closed": True, "statements": found["statements"], "netting": found["netting"]}

    def _possible(self, tx: Tx, name: str, excuses: Mapping[str, str]) -> list[Settlement]:
        """Checks, before the cut, that nothing blocks the month and that every entry has a place in a statement."""
        rows = period_rows.every(tx)
        row = closing.month(rows, name)
        if not row.cut and (reasons := closing.hinders(tx, row, rows, self.rules.zone, self.clock(), excuses)):
            raise closing.not_closed(row, reasons)
        return closing.settled(tx, name, self.rules)

    async def _issue(self, name: str) -> None:
        found = await self.db.read(closing.settled, name, self.rules)
        await self.db.run(closing.issue, name, found, self.rules, self.clock())

    async def preview(self, name: str) -> Json:
        """Returns the totals so far of a month that is not closed; writes nothing and sends no mail."""
        await self.db.run(self._keep, self.clock())
        return await self.db.read(self._preview, name)

    def _preview(self, tx: Tx, name: str) -> Json:
        rows, now = period_rows.every(tx), self.clock()
        row = closing.month(rows, name)
        if row.state == "closed":
            raise closing.not_closed(row, [])
        found = [
            closing.statement_row(one, each, now, now + self.rules.accept, "preview")
            for one in closing.settled(tx, name, self.rules)
            for each in one.statements
        ]
        return {
            "period": documents.period(row, hindering(tx, row, rows, self.rules, now)),
            "closed": False,
            **self._told(found, row.name),
        }

    # ---- statements

    async def statements(
        self, reader: Reader, wanted: Mapping[str, str], after: str, limit: int
    ) -> tuple[list[Json], str | None]:
        """Returns a page of the statements of a `period`, `member`, `unit` and `state` ("": any), with the cursor of
        the next page."""
        return await self.db.query(self._statements, reader, wanted, after, limit)

    def _statements(
        self, tx: Tx, reader: Reader, wanted: Mapping[str, str], after: str, limit: int
    ) -> tuple[list[Json], str | None]:
        member = wanted.get("member", "")
        members = reader.scope if not member else [member] if reader.sees(member) else []
        given = {name: wanted.get(name, "") for name in ("period", "unit", "state")}
        rows = statement_rows.list_for(tx, **given, members=members, after=after, limit=limit + 1)
        found = [documents.statement(row, self.titles, reader, self.clock()) for row in rows[:limit]]
        return found, rows[limit - 1].name if len(rows) > limit else None

    async def statement(self, name: Name, reader: Reader) -> Json:
        return await self.db.query(self._statement, name, reader)

    def _statement(self, tx: Tx, name: Name, reader: Reader) -> Json:
        row = answers.find(tx, *name, reader)
        return self._whole(tx, row, reader)

    def _whole(self, tx: Tx, row: StatementRow, reader: Reader) -> Json:
        return documents.statement(
            row, self.titles, reader, self.clock(), closing.month(period_rows.every(tx), row.period)
        )

    async def answer(self, name: Name, verb: str, words: str, reader: Reader) -> Json:
        """Answers a statement. `verb`: accept, dispute or settle."""
        return await self.db.run(self._answer, name, verb, words, reader)

    def _answer(self, tx: Tx, name: Name, verb: str, words: str, reader: Reader) -> Json:
        people = self.rules.people.get(name[2], ())
        return self._whole(tx, answers.answer(tx, name, verb, words, reader, self.clock(), people), reader)

    async def entries(self, name: Name, reader: Reader, after: int = 0) -> Json:
        """Returns a page of the entries that a statement's lines add up."""
        await self.db.query(answers.find, *name, reader)
        return await self.db.read(self._entries, name, after)

    def _entries(self, tx: Tx, name: Name, after: int) -> Json:
        period, unit, member = name
        rows = period_rows.every(tx)
        month = closing.month_of(tx, closing.month(rows, period), rows, self.rules)
        found = []
        for position, one in enumerate(parts(month.entries(tx), month.period, month.terms[unit], member, unit=unit), 1):
            if position > after:
                found.append(documents.part(position, one))
            if len(found) > PAGE:
                return {"entries": found[:PAGE], "next": found[PAGE - 1]["position"]}
        return {"entries": found, "next": None}

    # ---- files

    async def bills(self, name: str, book: str, member: str, reader: Reader, path: Path) -> None:
        """Writes a closed month's bills to `path`."""
        if member and not reader.sees(member):
            raise NotEntitled(
                f"You do not act for member {member[:64]!r}.",
                hint="A member's people are named on the federation's page.",
            )
        payers = None if reader.operator and not member else {member} if member else reader.members
        await self.db.read(exports.bills, name, book, self.rules, self.titles, payers, path)

    async def usage(self, name: str, centre: str, path: Path) -> None:
        """Writes a month's usage to `path`, as events."""
        await self.db.read(exports.usage, name, centre, self.rules, path)
