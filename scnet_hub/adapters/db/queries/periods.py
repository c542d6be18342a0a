"""Queries on periods, on the journal that statements are made from, and on records that centres have not sent."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, or_, select, text, union_all

from ....domain.ledger.entries import Entry
from ....domain.settlement.cutoffs import Cut
from ..database import Tx
from ..tables import copies, entries, manifests, periods, postings, sessions, usage
from .entries import PAGE, _whole

NOBODY_EARNS = ("grant", "hold", "release", "expire", "carry", "settle")  # kinds of entries that are in no statement
EVER = datetime(1970, 1, 2, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodRow:
    """A month of the books. A month is cut (`closed_at`, `last_entry`, `sealed`, `head`) before its statements are
    made, and closed with them. `terms`: its zone, and from the cut on the members' accounts and the excuses."""

    name: str
    state: str
    terms: Mapping[str, Any]
    closing_at: datetime | None = None
    closed_at: datetime | None = None
    closed_by: str = ""
    last_entry: int = 0
    sealed: int = 0
    head: str = ""

    @property
    def cut(self) -> Cut | None:
        return Cut(period=self.name, last=self.last_entry, at=self.closed_at) if self.closed_at else None


def every(tx: Tx) -> list[PeriodRow]:
    """Returns all periods, by name."""
    return [PeriodRow(**row._mapping) for row in tx.execute(select(periods).order_by(periods.c.name))]


def insert(tx: Tx, row: PeriodRow) -> None:
    tx.execute(periods.insert().values(**{one.name: getattr(row, one.name) for one in fields(row)}))


def update(tx: Tx, name: str, **values: Any) -> None:
    tx.execute(periods.update().where(periods.c.name == name).values(**values))


# ---- the journal


def stop_writers(tx: Tx) -> None:
    """Blocks all writers of entries until this transaction ends. The transaction's next statement sees everything that
    was being written: on PostgreSQL that holds where each statement takes a new snapshot (READ COMMITTED)."""
    if tx.dialect.name == "postgresql":
        tx.execute(text("LOCK TABLE scnet_entries IN SHARE ROW EXCLUSIVE MODE"))


def last_entry(tx: Tx) -> int:
    """Returns the number of the newest entry; 0 if there is no entry."""
    return int(tx.execute(select(func.coalesce(func.max(entries.c.id), 0))).scalar_one())


def begins(tx: Tx) -> datetime | None:
    """Returns the earliest instant that any entry concerns."""
    found: datetime | None = tx.execute(select(func.min(entries.c.at))).scalar_one()
    return found


def journal(tx: Tx, start: datetime, end: datetime, after: int, through: int) -> Iterator[tuple[int, Entry]]:
    """Yields the entries by which a member may earn, with their numbers, up to `through`: entries that concern [start,
    end), and entries that concern an earlier time and have a number over `after`. Reads a page at a time."""
    last = 0
    concerns = and_(entries.c.at < end, or_(entries.c.at >= start, entries.c.id > after))
    query = (
        select(entries)
        .where(entries.c.id <= through, concerns, entries.c.kind.not_in(NOBODY_EARNS))
        .order_by(entries.c.id)
        .limit(PAGE)
    )
    while rows := list(tx.execute(query.where(entries.c.id > last))):
        yield from _whole(tx, rows)
        last = rows[-1].id


def trial(tx: Tx) -> dict[str, dict[str, int]]:
    """Returns the balance of all accounts of a class together, by unit: each unit's classes sum to zero."""
    named = func.instr(postings.c.account, ":") if tx.dialect.name == "sqlite" else func.strpos(postings.c.account, ":")
    kind = case((named > 0, func.substr(postings.c.account, 1, named - 1)), else_=postings.c.account).label("kind")
    found: dict[str, dict[str, int]] = {}
    for unit, name, micros in tx.execute(
        select(postings.c.unit, kind, func.sum(postings.c.micros)).group_by(postings.c.unit, kind)
    ):
        found.setdefault(unit, {})[name] = int(micros)
    return found


# ---- records from centres


def work(tx: Tx, start: datetime, end: datetime) -> dict[str, datetime]:
    """Returns the centres where something ran in [start, end), each with the time of the first run there."""
    ran = and_(copies.c.started_at < end, or_(copies.c.ended_at.is_(None), copies.c.ended_at >= start))
    ended = and_(usage.c.over_at >= start, usage.c.over_at < end)
    first = union_all(
        select(
            copies.c.centre, func.min(copies.c.started_at).label("at"), func.max(case((ran, 1), else_=0)).label("here")
        )
        .where(copies.c.started_at < end)
        .group_by(copies.c.centre),
        select(usage.c.centre, func.min(usage.c.over_at), func.max(case((ended, 1), else_=0)))
        .where(usage.c.over_at < end)
        .group_by(usage.c.centre),
    ).subquery()
    query = select(first.c.centre, func.min(first.c.at)).group_by(first.c.centre).having(func.max(first.c.here) == 1)
    return {centre: at for centre, at in tx.execute(query)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """The open points of a centre's manifest of a day, in words, and why the books don't wait for them."""

    centre: str
    day: str
    missing: tuple[str, ...]
    excuse: str


def days(tx: Tx, first: str, last: str) -> list[Day]:
    """Returns the manifests from one day to another."""
    columns = (manifests.c.centre, manifests.c.day, manifests.c.missing, manifests.c.excuse)
    query = (
        select(*columns)
        .where(manifests.c.day >= first, manifests.c.day <= last)
        .order_by(manifests.c.centre, manifests.c.day)
    )
    return [
        Day(centre=row.centre, day=row.day, missing=tuple(row.missing), excuse=row.excuse) for row in tx.execute(query)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A record in suspense that is not decided. `session`: the session that it belongs to, "" if it belongs to none."""

    id: int
    centre: str
    session: str
    record: str
    reason: str
    seen_at: datetime


def suspended(tx: Tx, before: datetime | None = None, limit: int = 200) -> tuple[int, list[Waiting]]:
    """Returns how many records wait, and the oldest of them: all, or those that prevent closing a month that ends
    `before` that instant: records of sessions that were over, or that first arrived, by then. A job with a name that
    only looks like ours belongs to no session, costs nothing, and anyone at the centre can make such a job."""
    hinders = (usage.c.session != "", _before(before)) if before else ()
    wanted = and_(usage.c.state == "suspense", usage.c.decision == "", *hinders)
    count = int(tx.execute(select(func.count()).select_from(usage).where(wanted)).scalar_one())
    query = select(
        usage.c.id, usage.c.centre, usage.c.session, usage.c.identity, usage.c.reason, usage.c.seen_at
    ).where(wanted)
    rows = tx.execute(query.order_by(usage.c.id).limit(limit)).all() if count else ()
    return count, [
        Waiting(
            id=one.id,
            centre=one.centre,
            session=one.session,
            record=one.identity,
            reason=one.reason,
            seen_at=one.seen_at,
        )
        for one in rows
    ]


def heard(tx: Tx) -> dict[str, tuple[str, datetime | None]]:
    """Returns by centre the newest day with a manifest ("": none), and when its newest record arrived."""
    days_of = {
        centre: day
        for centre, day in tx.execute(
            select(manifests.c.centre, func.max(manifests.c.day)).group_by(manifests.c.centre)
        )
    }
    records = {
        centre: at
        for centre, at in tx.execute(select(usage.c.centre, func.max(usage.c.seen_at)).group_by(usage.c.centre))
    }
    return {centre: (days_of.get(centre, ""), records.get(centre)) for centre in {*days_of, *records}}


def _before(instant: datetime) -> ColumnElement[bool]:
    """Returns the condition for records of before `instant`. A run's end may be wrong, later than its record's arrival,
    or missing; and a waiting record is seen again and again."""
    came = usage.c.record["seen_at"].as_string()
    return or_(usage.c.over_at < instant, came < instant.astimezone(UTC).isoformat())


# ---- usage records as exported to files


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRow:
    """A record with its owner and the prices of its charge; `name` is the session's ("": none), `over_at` is None for a
    run that has not ended."""

    id: int
    session: str
    name: str
    project: str
    over_at: datetime | None
    record: dict[str, Any]
    tariff: str


_RECORDS = select(
    usage.c.id, usage.c.session, func.coalesce(sessions.c.name, "").label("name"),
    func.coalesce(sessions.c.project, "").label("project"), usage.c.over_at, usage.c.record, usage.c.tariff,
).outerjoin(sessions, sessions.c.id == usage.c.session)  # fmt: skip


def records(tx: Tx, of: Collection[str]) -> dict[str, list[RecordRow]]:
    """Returns the records by session, newest first; replaced records too, because their charges are in the books."""
    found: dict[str, list[RecordRow]] = {}
    for row in tx.execute(_RECORDS.where(usage.c.session.in_(of)).order_by(usage.c.id.desc())) if of else ():
        found.setdefault(row.session, []).append(RecordRow(**row._mapping))
    return found


def counted(tx: Tx, start: datetime, centre: str = "") -> Iterator[RecordRow]:
    """Yields the counted records of runs that ended at or after `start` or have not ended, of one centre or of all.
    Reads a page at a time."""
    last = 0
    query = (
        _RECORDS.where(usage.c.state == "counted", or_(usage.c.over_at >= start, usage.c.over_at.is_(None)))
        .order_by(usage.c.id)
        .limit(PAGE)
    )
    query = query.where(usage.c.centre == centre) if centre else query
    while rows := tx.execute(query.where(usage.c.id > last)).all():
        yield from (RecordRow(**row._mapping) for row in rows)
        last = rows[-1].id
