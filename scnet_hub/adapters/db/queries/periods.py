"""Queries on periods, on the journal that their statements are made from, and on what centres have not sent of them."""

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
    """A month of the books. Cut (`closed_at`, `last_entry`, `sealed`, `head`) before its statements are made, and closed with them.
    `terms`: its zone, and once it is cut whose accounts are whose and the excuses."""

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
    """By name."""
    return [PeriodRow(**row._mapping) for row in tx.execute(select(periods).order_by(periods.c.name))]


def put(tx: Tx, row: PeriodRow) -> None:
    tx.execute(periods.insert().values(**{one.name: getattr(row, one.name) for one in fields(row)}))


def change(tx: Tx, name: str, **values: Any) -> None:
    tx.execute(periods.update().where(periods.c.name == name).values(**values))


# ---- the journal


def stop_writers(tx: Tx) -> None:
    """Nobody writes an entry until this transaction ends, and all that was being written is there for its next statement to see: on
    PostgreSQL that is so where each statement looks anew (READ COMMITTED)."""
    if tx.dialect.name == "postgresql":
        tx.execute(text("LOCK TABLE scnet_entries IN SHARE ROW EXCLUSIVE MODE"))


def last_entry(tx: Tx) -> int:
    """The number of the newest; 0 if there is none."""
    return int(tx.execute(select(func.coalesce(func.max(entries.c.id), 0))).scalar_one())


def begins(tx: Tx) -> datetime | None:
    """The earliest instant that any entry concerns."""
    found: datetime | None = tx.execute(select(func.min(entries.c.at))).scalar_one()
    return found


def journal(tx: Tx, start: datetime, end: datetime, after: int, through: int) -> Iterator[tuple[int, Entry]]:
    """Entries with their numbers, up to `through`, by which somebody may earn: what concerns [start, end), and what concerns anything
    earlier and has a number over `after`. A page at a time."""
    last = 0
    concerns = and_(entries.c.at < end, or_(entries.c.at >= start, entries.c.id > after))
    query = select(entries).where(entries.c.id <= through, concerns, entries.c.kind.not_in(NOBODY_EARNS)).order_by(entries.c.id).limit(PAGE)
    while rows := list(tx.execute(query.where(entries.c.id > last))):
        yield from _whole(tx, rows)
        last = rows[-1].id


def trial(tx: Tx) -> dict[str, dict[str, int]]:
    """What is on all accounts of a class together, by unit: each unit's classes sum to zero."""
    named = func.instr(postings.c.account, ":") if tx.dialect.name == "sqlite" else func.strpos(postings.c.account, ":")
    kind = case((named > 0, func.substr(postings.c.account, 1, named - 1)), else_=postings.c.account).label("kind")
    found: dict[str, dict[str, int]] = {}
    for unit, name, micros in tx.execute(select(postings.c.unit, kind, func.sum(postings.c.micros)).group_by(postings.c.unit, kind)):
        found.setdefault(unit, {})[name] = int(micros)
    return found


# ---- what centres sent


def work(tx: Tx, start: datetime, end: datetime) -> dict[str, datetime]:
    """Centres where something ran in [start, end), each with when anything ran there first."""
    ran = and_(copies.c.started_at < end, or_(copies.c.job_ended_at.is_(None), copies.c.job_ended_at >= start))
    ended = and_(usage.c.over_at >= start, usage.c.over_at < end)
    first = union_all(
        select(copies.c.centre, func.min(copies.c.started_at).label("at"), func.max(case((ran, 1), else_=0)).label("here"))
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
    """What a centre's manifest of a day leaves open, in words, and why it is not waited for."""

    centre: str
    day: str
    missing: tuple[str, ...]
    excuse: str


def days(tx: Tx, first: str, last: str) -> list[Day]:
    """The manifests from one day to another."""
    columns = (manifests.c.centre, manifests.c.day, manifests.c.missing, manifests.c.excuse)
    query = select(*columns).where(manifests.c.day >= first, manifests.c.day <= last).order_by(manifests.c.centre, manifests.c.day)
    return [Day(centre=row.centre, day=row.day, missing=tuple(row.missing), excuse=row.excuse) for row in tx.execute(query)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A record in suspense about which nobody decided. `session`: whose it is, "" if it is nobody's."""

    id: int
    centre: str
    session: str
    record: str
    reason: str
    seen_at: datetime


def suspended(tx: Tx, before: datetime | None = None, limit: int = 200) -> tuple[int, list[Waiting]]:
    """How many wait, and the oldest of them: all, or what hinders a month that ends `before` that instant, which are records of sessions
    that were over, or came first, by then. A job that only bears a name like ours is nobody's to pay, and anybody can make one."""
    hinders = (usage.c.session != "", _before(before)) if before else ()
    wanted = and_(usage.c.state == "suspense", usage.c.decision == "", *hinders)
    count = int(tx.execute(select(func.count()).select_from(usage).where(wanted)).scalar_one())
    query = select(usage.c.id, usage.c.centre, usage.c.session, usage.c.identity, usage.c.reason, usage.c.seen_at).where(wanted)
    rows = tx.execute(query.order_by(usage.c.id).limit(limit)).all() if count else ()
    return count, [
        Waiting(id=one.id, centre=one.centre, session=one.session, record=one.identity, reason=one.reason, seen_at=one.seen_at)
        for one in rows
    ]


def heard(tx: Tx) -> dict[str, tuple[str, datetime | None]]:
    """By centre: the newest day of which it sent a manifest ("": none), and when its newest record came."""
    days_of = {
        centre: day for centre, day in tx.execute(select(manifests.c.centre, func.max(manifests.c.day)).group_by(manifests.c.centre))
    }
    records = {centre: at for centre, at in tx.execute(select(usage.c.centre, func.max(usage.c.seen_at)).group_by(usage.c.centre))}
    return {centre: (days_of.get(centre, ""), records.get(centre)) for centre in {*days_of, *records}}


def _before(instant: datetime) -> ColumnElement[bool]:
    """A run's end may be told wrong, later than its record came, or not at all; and what waits is seen again and again."""
    came = usage.c.record["seen_at"].as_string()
    return or_(usage.c.over_at < instant, came < instant.astimezone(UTC).isoformat())


# ---- usage records as files tell of them


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRow:
    """A record, with the prices that it was charged by and whose it was; `name` is the session's ("": none), `over_at` is None for a run
    that goes on."""

    id: int
    session: str
    name: str
    project: str
    over_at: datetime | None
    record: dict[str, Any]
    tariff: str


_RECORDS = select(
    usage.c.id, usage.c.session, func.coalesce(sessions.c.name, "").label("name"), func.coalesce(sessions.c.project, "").label("project"),
    usage.c.over_at, usage.c.record, usage.c.tariff,
).outerjoin(sessions, sessions.c.id == usage.c.session)  # fmt: skip


def records(tx: Tx, of: Collection[str]) -> dict[str, list[RecordRow]]:
    """By session; also those that were replaced, since what they were charged for is in the books too. The newest first."""
    found: dict[str, list[RecordRow]] = {}
    for row in tx.execute(_RECORDS.where(usage.c.session.in_(of)).order_by(usage.c.id.desc())) if of else ():
        found.setdefault(row.session, []).append(RecordRow(**row._mapping))
    return found


def counted(tx: Tx, start: datetime, centre: str = "") -> Iterator[RecordRow]:
    """Those that count of runs that were over from `start` on, or go on, of one centre or of all. A page at a time."""
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
