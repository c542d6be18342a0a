"""Queries on spent credits: charges and reversals, with their sessions. Nothing is written here."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, case, func, or_, select

from ....domain.sessions.records import SessionCopy
from ..database import Tx
from ..tables import copies, entries, postings, sessions
from .sessions import BOTH, pair

SPENT = ("charge", "reverse")
AT_ONCE = 400  # ids in one question


class ChargeRow(NamedTuple):
    """An entry by which a project paid `micros` (negative: got back) to `centre` for a run that began `at`; `person` is
    the session's owner."""

    id: int
    key: str
    at: datetime
    recorded_at: datetime
    kind: str
    project: str
    session: str
    memo: str
    reverses: str
    unit: str
    person: str
    centre: str
    micros: int


_WRITTEN = func.coalesce(entries.c.recorded_at, entries.c.at)
_OWN = or_(postings.c.account.startswith("project:"), postings.c.account.startswith("held:"))
PAID = -func.coalesce(func.sum(case((_OWN, postings.c.micros), else_=0)), 0)
_EARNED_BY = func.coalesce(func.max(case((postings.c.account.startswith("centre:"), postings.c.account))), "")


def charges(
    tx: Tx, since: datetime, until: datetime, *, project: str = "", person: str = "", after: int = 0, unit: str = ""
) -> list[ChargeRow]:
    """Returns the charges of that time, oldest first, of one project and one person, or of all. `after`: only entries
    newer than this entry."""
    wanted: list[ColumnElement[bool]] = [
        entries.c.kind.in_(SPENT),
        entries.c.at >= since,
        entries.c.at < until,
        entries.c.id > after,
    ]
    if unit:
        wanted.append(postings.c.unit == unit)
    if project:
        wanted.append(entries.c.project == project)
    elif person:
        wanted.append(entries.c.project.in_(projects_of(tx, person)))
    if person:
        wanted.append(sessions.c.person == person)
    query = (
        select(
            entries.c.id, entries.c.key, entries.c.at, _WRITTEN.label("recorded_at"), entries.c.kind, entries.c.project,
            entries.c.session, entries.c.memo, entries.c.reverses, func.min(postings.c.unit),
            func.coalesce(sessions.c.person, ""), _EARNED_BY, PAID,
        )
        .join_from(entries, postings, postings.c.entry == entries.c.id)
        .outerjoin(sessions, sessions.c.id == entries.c.session)
        .where(*wanted)
        .group_by(entries.c.id, sessions.c.id)
        .order_by(entries.c.at, entries.c.id)
    )  # fmt: skip
    return [_charge(*row) for row in tx.execute(query)]


def _charge(*row: Any) -> ChargeRow:
    facts = dict(zip(ChargeRow._fields, row, strict=True))
    return ChargeRow(**facts | {"centre": facts["centre"].removeprefix("centre:"), "micros": int(facts["micros"])})


def projects_of(tx: Tx, person: str) -> list[str]:
    """Returns the projects in which this person ever had a session."""
    return list(tx.execute(select(sessions.c.project).where(sessions.c.person == person).distinct()).scalars())


def moved(tx: Tx, project: str, unit: str, since: datetime) -> list[tuple[datetime, int]]:
    """Returns how much each entry since then changed what a project has, held credits included: (when it was written,
    micro-units)."""
    change = func.sum(postings.c.micros)
    query = (
        select(func.min(_WRITTEN), change)
        .join_from(entries, postings, postings.c.entry == entries.c.id)
        .where(
            entries.c.project == project,
            postings.c.unit == unit,
            since <= _WRITTEN,
            _OWN,
            entries.c.kind.not_in(("hold", "release")),
        )
        .group_by(entries.c.id)
        .order_by(entries.c.id)
    )
    return [(at, int(micros)) for at, micros in tx.execute(query) if micros]


def last_charged(tx: Tx, project: str) -> datetime | None:
    """Returns when the newest charge of a project was written."""
    query = select(_WRITTEN).where(entries.c.project == project, entries.c.kind == "charge")
    return tx.execute(query.order_by(entries.c.id.desc()).limit(1)).scalar()


def began(tx: Tx, project: str) -> datetime | None:
    """Returns when the first entry of a project was written."""
    return tx.execute(select(_WRITTEN).where(entries.c.project == project).order_by(entries.c.id).limit(1)).scalar()


def by_id(tx: Tx, ids: Iterable[str]) -> dict[str, SessionCopy]:
    """Returns sessions by their leading copies."""
    found: dict[str, SessionCopy] = {}
    wanted = sorted({*ids} - {""})
    lead = and_(copies.c.session == sessions.c.id, copies.c.number == sessions.c.lead)
    for first in range(0, len(wanted), AT_ONCE):
        query = (
            select(*BOTH).join_from(sessions, copies, lead).where(sessions.c.id.in_(wanted[first : first + AT_ONCE]))
        )
        found |= {one.session.id: one for one in map(pair, tx.execute(query))}
    return found
