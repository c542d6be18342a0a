"""Reports sessions, centres, balances and entries as the documents of docs/reference/rest.md.

Reads the database and the known load of the centres; changes nothing and asks no centre.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from ...adapters.db.database import Database, Tx
from ...adapters.db.queries import accounts as account_rows
from ...adapters.db.queries import allocations as allocation_rows
from ...adapters.db.queries import entries as entry_rows
from ...adapters.db.queries import lots as lot_rows
from ...adapters.db.queries import open_sessions as open_session_rows
from ...adapters.db.queries import projects as project_rows
from ...adapters.db.queries import sessions as session_rows
from ...adapters.db.queries import usage as usage_rows
from ...adapters.db.queries.open_sessions import OpenRow
from ...adapters.db.queries.projects import ProjectRow
from ...domain.centres.orphan import Orphan
from ...domain.centres.session_warnings import Lease, Notice, notices
from ...domain.centres.state import CentreStates
from ...domain.ledger.entries import Entry
from ...domain.paging import MOST, page
from ...domain.sessions.lifecycle import walltime_end
from ...domain.sessions.records import BriefRow, Copy, Session, SessionCopy
from ...domain.standard.federation import FederationSpec
from ...errors import BadOption, NotFound
from ...units import CREDIT, Amount
from .. import documents
from ..accounting import books
from ..accounting.running_costs import Flown, flown
from ..placement import quota_check
from ..projects import allocations, projects
from ..sessions.session_list import Briefs
from .spending import Spending

Json = dict[str, Any]
Page = tuple[list[Json], str | None]  # documents, and the cursor of the next page
ENDED = 50  # newest ended sessions that are listed


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPage:
    """Selects the sessions to list: at most `limit` live ones after the session with id `after`, of one `kind` ("" for
    all). `ended`: the newest ended sessions too, after the live ones. `brief`: live sessions only, without money and
    events."""

    limit: int
    after: str = ""
    kind: str = ""
    ended: bool = False
    brief: bool = False


class Reports:
    """Reports on the centres in `load`; `clock` gives the current time."""

    def __init__(self, db: Database, states: CentreStates, clock: Callable[[], datetime], spec: FederationSpec) -> None:
        self.db, self.states, self.clock, self.spec = db, states, clock, spec
        self.spending = Spending(db, states, clock, spec.time_zone)
        self.briefs = Briefs(states, lambda row: self.warnings(row, row))

    async def sessions(self, rows: list[SessionCopy], *, whole: bool = False) -> list[Json]:
        return await self.db.query(self._sessions, rows, whole)

    def _sessions(self, tx: Tx, rows: list[SessionCopy], whole: bool) -> list[Json]:
        events = session_rows.events_of(tx, [session.id for session, _ in rows])
        ended = [session.id for session, _ in rows if not session.live]
        codes = usage_rows.exit_codes(tx, ended) if ended else {}
        flights = self.flown(tx, [open_session_rows.open_row(row) for row in rows])
        found = [
            documents.session(
                row,
                self.states.centres.get(row.copy.centre),
                events[row.session.id],
                Amount(flights.unpaid[row.session.id]),
                flights.per_hour(row.session.id),
                warnings=self.warnings(*row),
            )
            | {"exit_code": codes.get(row.session.id, "")}
            for row in rows
        ]
        return [document | self._whole(tx, row) for document, row in zip(found, rows, strict=True)] if whole else found

    def flown(self, tx: Tx, rows: Sequence[OpenRow]) -> Flown:
        """Returns the estimated cost of these sessions so far, by the prices of their places."""
        now = self.clock()
        return flown(tx, self.states, rows, now, self.spending.month(now))

    async def page(self, person: str, page: SessionPage, *, tokens: bool) -> tuple[list[Json], str]:
        """Returns a page of live sessions, of `person` or ("") of everyone, and where the next page begins: "" on the
        last, which also has the newest ended sessions if the page asks for them. `tokens`: adds each session's own
        token."""
        return await self.db.query(self._brief_page if page.brief else self._page, person, page, tokens)

    def _page(self, tx: Tx, person: str, page: SessionPage, tokens: bool) -> tuple[list[Json], str]:
        self._check_after(tx, person, page)
        rows = session_rows.listed(tx, person=person, kind=page.kind, after=page.after, limit=page.limit + 1)
        begins = rows[page.limit - 1].session.id if len(rows) > page.limit else ""
        rows = rows[: page.limit]
        if page.ended and not begins:
            rows += session_rows.ended(tx, person=person, kind=page.kind, limit=ENDED)
        found = self._sessions(tx, rows, False)
        if tokens:
            found = [
                document | {"token": documents.token(row.session)} for document, row in zip(found, rows, strict=True)
            ]
        return found, begins

    def _brief_page(self, tx: Tx, person: str, page: SessionPage, tokens: bool) -> tuple[list[Json], str]:
        self._check_after(tx, person, page)
        return self.briefs.page(tx, person=person, kind=page.kind, after=page.after, limit=page.limit, tokens=tokens)

    def _check_after(self, tx: Tx, person: str, page: SessionPage) -> None:
        row = session_rows.get(tx, page.after) if page.after else None
        if page.after and (row is None or person not in ("", row.session.person)):
            raise BadOption(
                f"after: {page.after!r} is not the id of a session.", hint="Use the `next` of the previous page."
            )

    def _whole(self, tx: Tx, row: SessionCopy) -> Json:
        """Returns the fields that only the document of one session has."""
        behind = session_rows.next_in_line(tx, row.session.id)
        centres = {name: known.spec.name for name, known in self.states.centres.items()}
        return {
            "placement": row.session.placement,
            "copies": [
                documents.copy(one, centres.get(one.copy.centre, one.copy.centre))
                for one in session_rows.copies_of(tx, row.session.id)
            ],
            "successor": documents.successor(behind, centres.get(behind.copy.centre, behind.copy.centre))
            if behind
            else None,
            "succeeded_by": behind.session.id if behind and not behind.session.in_line else "",
        }

    async def orphans(self, found: Iterable[Orphan]) -> Json:
        """Returns jobs without a session, and sessions without a job."""
        rows = [row for row in await self.db.query(session_rows.live_copies) if row.copy.forgotten_since]
        return {
            "jobs": [documents.orphan(one) for one in found],
            "sessions": [
                documents.forgotten(row, self.states.centres[row.copy.centre])
                for row in rows
                if row.copy.centre in self.states.centres
            ],
        }

    def warnings(self, session: Session | BriefRow, copy: Copy | BriefRow) -> list[Notice]:
        """Returns the warnings for the owner of a live session, whose leading copy is `copy`."""
        known, now = self.states.centres.get(copy.centre), self.clock()
        if known is None or not session.live:
            return []
        spec = known.spec
        if not (copy.unknown_since or session.lease_end_reason or spec.maintenance or spec.announcement):
            return []  # the usual case
        ends_at = walltime_end(session, copy.started_at) or now + timedelta(seconds=session.request["walltime_s"])
        return notices(
            spec, known.health.failing(), ends_at=ends_at, unknown_since=copy.unknown_since,
            unknown_why=copy.unknown_why, now=now,
            lease=Lease(session.leased_until, "" if session.cancelled_at else session.lease_end_reason),
        )  # fmt: skip

    async def centres(self, person: str, names: Sequence[str] = ()) -> list[Json]:
        """Returns these centres (none: all), as `person` finds them; for "" without a person's own facts."""
        return await self.db.query(self._centres, person, names)

    def _centres(self, tx: Tx, person: str, names: Sequence[str]) -> list[Json]:
        wanted = {name: self.states.centres[name] for name in names or self.states.centres}
        rows = session_rows.live(tx, person=person) if person else []
        mine = {row.centre: row.account for row in account_rows.links(tx, person=person)} if person else {}
        ceilings = quota_check.documents_by_centre(tx, [known.spec for known in wanted.values()], person)
        return [
            documents.centre(known, rows, mine.get(name, ""), self.clock()) | {"quota": ceilings.get(name, [])}
            for name, known in wanted.items()
        ]

    async def account_links(self, person: str, *, ended: bool, after: str, limit: int) -> Page:
        """Returns the links of `person`, or ("") of everyone; with `ended` the whole history."""
        rows = await self.db.query(account_rows.links, person=person, ended=ended)
        found, following = page(rows, lambda row: str(row.id), after, limit)
        return [documents.account_link(row) for row in found], following

    async def balances(self, person: str, after: str = "", limit: int = MOST) -> Page:
        """Returns a balance for each project of `person`, or ("") for every project."""
        return await self.db.query(self._balances, person, after, limit)

    def _balances(self, tx: Tx, person: str, after: str, limit: int) -> Page:
        mine = project_rows.list_for(tx, person) if person else project_rows.all_projects(tx)
        found, following = page(mine, lambda project: project.id, after, limit)
        return [self._balance(tx, project, person) for project in found], following

    def _balance(self, tx: Tx, project: ProjectRow, person: str) -> Json:
        rows = open_session_rows.uncharged(tx, project=project.id)
        flights = self.flown(tx, rows)
        in_flight = flights.total()
        lots = lot_rows.list_for(tx, project.id, CREDIT)
        ending = allocations.ending(lots, self.clock())
        over = Amount(sum(max(0, flights.used[row.id] - row.held) for row in rows))
        # what exceeds the hold of a session will be taken from the available credits
        money = books.balance(tx, project.id)
        money = replace(money, on_hold=money.on_hold + over, available=money.available - over)
        cap = projects.cap_of(tx, project.id, person) if person else None
        found = documents.balance(project, money, in_flight, ending) | {
            "own": documents.own(cap, money.available) if cap else None
        }
        return (
            found
            | quota_check.quota_document(tx, self.spec, project, person)
            | self.spending.outlook(tx, project.id, lots, rows, flights)
        )

    async def allocations(self, person: str, *, project: str, state: str, after: str, limit: int) -> Page:
        """Returns the allocations of the projects of `person`, or ("") of every project, newest first."""
        found = await self.db.query(self._allocations, person, project, state)
        return page(found, lambda one: str(one["id"]), after, limit)

    def _allocations(self, tx: Tx, person: str, project: str, state: str) -> list[Json]:
        mine = {one.id for one in project_rows.list_for(tx, person)} if person else None
        rows = allocation_rows.list_for(tx, project=project, state=state)
        return [documents.allocation(row) for row in rows if mine is None or row.project in mine]

    async def project(self, person: str, project: str) -> Json | None:
        """Returns a project of `person`, or ("") any project: its balance, people, lots and allocations; None if there
        is none."""
        return await self.db.query(self._project, person, project)

    def _project(self, tx: Tx, person: str, project: str) -> Json | None:
        row = project_rows.get(tx, project)
        if row is None or (person and project not in [one.id for one in project_rows.list_for(tx, person)]):
            return None
        sees_all = not person or projects.oversees(tx, person, project)
        people = [
            documents.member(one, *session_rows.spent_by(tx, project, one.person)) if sees_all or one.person == person
            else documents.other_member(one)
            for one in project_rows.people(tx, project)
        ]  # fmt: skip
        lots, found = lot_rows.list_for(tx, project, CREDIT), self._balance(tx, row, person)
        return found | {
            "kind": row.kind, "members": people, "sees_all": sees_all, "lots": [documents.lot(one) for one in lots],
            "allocations": self._allocations(tx, "", project, ""),
            "burning": self.spending.burning(tx, project, lots, found["in_flight"]),
        }  # fmt: skip

    async def entries(self, person: str, project: str, after: int, limit: int) -> Json:
        """Returns entries of a project of `person`, newest first: all of them for those who oversee it, and for the
        person "". They are older than the entry `after`, unless it is 0. `next` is the next page's `after`, or None.
        Raises NotFound."""
        found = await self.db.query(self._entries, person, project, limit + 1, after)
        listed = [documents.entry(number, entry) for number, entry in found[:limit]]
        return {"entries": listed, "next": listed[-1]["id"] if len(found) > limit else None}

    def _entries(self, tx: Tx, person: str, project: str, limit: int, after: int) -> list[tuple[int, Entry]]:
        if person and project not in [one.id for one in project_rows.list_for(tx, person)]:
            raise NotFound(
                f"You have no project {project!r}.", hint="`scnet balances` lists them.", code="unknown-project"
            )
        whose = "" if not person or projects.oversees(tx, person, project) else person
        return entry_rows.newest(tx, project, limit, after, person=whose)
