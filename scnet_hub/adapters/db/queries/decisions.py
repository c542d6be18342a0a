"""Queries on the decision log. The outcome of a decision is not copied: it is read from its copy and its session."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, Select, and_, delete, func, or_, select, tuple_, update

from ..database import Tx
from ..tables import copies, decisions, sessions, snapshots, terms

SWEPT = 500  # rows that one step of a sweep removes
ASKED = 500  # keys in one question


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRow:
    """One decision with its outcome. `session` is None and `number` 0 if the start was refused: then `code` says why.
    Times in seconds run until the start, as expected when it was decided. The columns from `kind` on are those of the
    session, and from `job_state` on those of the copy."""

    id: str
    decided_at: datetime
    person: str
    project: str
    session: str | None
    number: int
    cause: str
    code: str
    said: str
    times: int
    centre: str
    partition: str
    chance: int | None
    expected_s: float | None
    p50_s: float | None
    p90_s: float | None
    cost: int | None
    reason: str
    kind: str | None
    lead: int | None
    created_at: datetime | None
    ready_at: datetime | None
    job_state: str | None
    job_live: bool | None
    job_end_reason: str | None
    submitted_at: datetime | None
    started_at: datetime | None
    job_cancelled_at: datetime | None
    job_ended_at: datetime | None

    @property
    def was_ready(self) -> datetime | None:
        """Returns when the session was ready, if this copy was the first to be ready; else None."""
        return self.ready_at if self.number and self.number == self.lead else None


class Inputs(NamedTuple):
    """The long documents of one decision."""

    request: dict[str, Any]
    answer: dict[str, Any]
    inputs: dict[str, Any]
    terms: str


class Sample(NamedTuple):
    """The time that one session took from its job's start until it was ready."""

    centre: str
    app: str
    seconds: float


_LONG = ("request", "answer", "inputs", "terms")
_OWN = [column for column in decisions.c if column.name not in _LONG]
# for a refused start: the kind that was requested
_KIND = func.coalesce(sessions.c.kind, decisions.c.request["kind"].as_string()).label("kind")
_SESSIONS = [_KIND, *(sessions.c[name] for name in ("lead", "created_at", "ready_at"))]
_COPYS = [
    copies.c.submitted_at,
    copies.c.started_at,
    *(copies.c[name].label(f"job_{name}") for name in ("state", "live", "end_reason", "cancelled_at", "ended_at")),
]


def add(tx: Tx, **values: Any) -> None:
    tx.execute(decisions.insert().values(**values))


def _rows() -> Select[Any]:
    copy = and_(copies.c.session == decisions.c.session, copies.c.number == decisions.c.number)
    joined = decisions.outerjoin(sessions, sessions.c.id == decisions.c.session).outerjoin(copies, copy)
    return select(*_OWN, *_SESSIONS, *_COPYS).select_from(joined)


def _row(row: Row[Any]) -> DecisionRow:
    return DecisionRow(**row._mapping)


def get(tx: Tx, decision_id: str) -> DecisionRow | None:
    row = tx.execute(_rows().where(decisions.c.id == decision_id)).first()
    return _row(row) if row else None


def of_session(tx: Tx, session_id: str) -> list[DecisionRow]:
    """Returns a session's decisions, one for each copy, oldest first."""
    return [
        _row(row) for row in tx.execute(_rows().where(decisions.c.session == session_id).order_by(decisions.c.number))
    ]


def newest(tx: Tx, since: datetime, limit: int) -> list[DecisionRow]:
    """Returns decisions since then, newest first."""
    query = (
        _rows()
        .where(decisions.c.decided_at >= since)
        .order_by(decisions.c.decided_at.desc(), decisions.c.id)
        .limit(limit)
    )
    return [_row(row) for row in tx.execute(query)]


def page_of_first(tx: Tx, since: datetime, until: datetime, after: str, limit: int) -> list[DecisionRow]:
    """Returns first decisions (none about further copies) in [since, until), oldest first; of the instant `since` only
    those with an id greater than `after`."""
    query = _rows().where(*_first(since, until, after)).order_by(decisions.c.decided_at, decisions.c.id).limit(limit)
    return [_row(row) for row in tx.execute(query)]


def count_first(tx: Tx, since: datetime, until: datetime, after: str) -> int:
    return tx.execute(select(func.count()).select_from(decisions).where(*_first(since, until, after))).scalar() or 0


def _first(since: datetime, until: datetime, after: str) -> tuple[ColumnElement[bool], ...]:
    at = decisions.c.decided_at
    return at >= since, at <= until, or_(at > since, decisions.c.id > after), decisions.c.cause == "first"


def inputs(tx: Tx, decision_id: str) -> Inputs:
    row = tx.execute(select(*(decisions.c[name] for name in _LONG)).where(decisions.c.id == decision_id)).one()
    return Inputs(*row)


def refusals(tx: Tx, since: datetime, limit: int) -> list[tuple[int, dict[str, Any], dict[str, Any]]]:
    """Returns (times, answer, request) of starts for which no place was found, newest first."""
    wanted = (decisions.c.decided_at >= since, decisions.c.code == "no-placement")
    query = select(decisions.c.times, decisions.c.answer, decisions.c.request).where(*wanted)
    found = tx.execute(query.order_by(decisions.c.decided_at.desc()).limit(limit))
    return [(times, answer, request) for times, answer, request in found]


def last_of(tx: Tx, person: str, since: datetime) -> tuple[str, str, dict[str, Any]] | None:
    """Returns (id, code, request) of the person's newest decision since then."""
    query = select(decisions.c.id, decisions.c.code, decisions.c.request).where(
        decisions.c.person == person, decisions.c.decided_at >= since
    )
    row = tx.execute(query.order_by(decisions.c.decided_at.desc()).limit(1)).first()
    return (row.id, row.code, row.request) if row else None


def refused_since(tx: Tx, person: str, since: datetime) -> int:
    """Returns how many refused starts of the person have been written since then."""
    mine = (decisions.c.person == person, decisions.c.decided_at >= since, decisions.c.session.is_(None))
    return tx.execute(select(func.count()).select_from(decisions).where(*mine)).scalar() or 0


def once_more(tx: Tx, decision_id: str) -> None:
    tx.execute(update(decisions).where(decisions.c.id == decision_id).values(times=decisions.c.times + 1))


# ---- documents that several decisions share


def has_terms(tx: Tx, digest: str) -> bool:
    return tx.execute(select(terms.c.digest).where(terms.c.digest == digest)).first() is not None


def keep_terms(tx: Tx, digest: str, document: Any) -> None:
    tx.execute(terms.insert().values(digest=digest, document=document))


def terms_of(tx: Tx, digest: str) -> Any:
    return tx.execute(select(terms.c.document).where(terms.c.digest == digest)).scalar()


def kept(tx: Tx, keys: Iterable[tuple[str, datetime]]) -> set[tuple[str, datetime]]:
    """Returns those of these snapshots that are stored."""
    wanted = list(keys)
    found: set[tuple[str, datetime]] = set()
    both = tuple_(snapshots.c.centre, snapshots.c.taken_at)
    for start in range(0, len(wanted), ASKED):
        rows = tx.execute(
            select(snapshots.c.centre, snapshots.c.taken_at).where(both.in_(wanted[start : start + ASKED]))
        )
        found |= {(row.centre, row.taken_at) for row in rows}
    return found


def keep(tx: Tx, loads: Mapping[tuple[str, datetime], Any], at: datetime) -> None:
    rows = [
        {"centre": centre, "taken_at": taken_at, "kept_at": at, "loads": document}
        for (centre, taken_at), document in loads.items()
    ]
    if rows:
        tx.execute(snapshots.insert(), rows)


def loads(tx: Tx, keys: Iterable[tuple[str, datetime]]) -> dict[tuple[str, datetime], Any]:
    """Returns the documents of those snapshots that are still stored."""
    wanted = list(keys)
    found: dict[tuple[str, datetime], Any] = {}
    both = tuple_(snapshots.c.centre, snapshots.c.taken_at)
    for start in range(0, len(wanted), ASKED):
        rows = tx.execute(select(snapshots).where(both.in_(wanted[start : start + ASKED])))
        found |= {(row.centre, row.taken_at): row.loads for row in rows}
    return found


# ---- how long decisions are kept


def sweep(tx: Tx, *, decided_before: datetime, kept_before: datetime) -> int:
    """Removes some of the older rows and returns how many; 0: nothing is left to do. Terms are removed with the last
    decision that refers to them."""
    old = select(decisions.c.id).where(decisions.c.decided_at < decided_before).limit(SWEPT)
    gone = tx.execute(delete(decisions).where(decisions.c.id.in_(old.scalar_subquery()))).rowcount
    both = tuple_(snapshots.c.centre, snapshots.c.taken_at)
    keys = tx.execute(
        select(snapshots.c.centre, snapshots.c.taken_at).where(snapshots.c.kept_at < kept_before).limit(SWEPT)
    ).all()
    if keys:
        gone += tx.execute(delete(snapshots).where(both.in_([tuple(key) for key in keys]))).rowcount
    if not gone:
        tx.execute(delete(terms).where(terms.c.digest.not_in(select(decisions.c.terms).distinct())))
    return gone


# ---- how long sessions took to be ready


def startups(tx: Tx, since: datetime, limit: int = 5000) -> list[Sample]:
    """Returns sessions that were ready since then, newest first, each by its ready copy: the time from the copy's start
    until ready."""
    lead = and_(copies.c.session == sessions.c.id, copies.c.number == sessions.c.lead)
    columns = (
        copies.c.centre,
        sessions.c.request["app"].as_string().label("app"),
        copies.c.started_at,
        sessions.c.ready_at,
    )
    wanted = (sessions.c.kind == "lab", sessions.c.ready_at >= since, copies.c.started_at.is_not(None))
    query = (
        select(*columns)
        .join_from(sessions, copies, lead)
        .where(*wanted)
        .order_by(sessions.c.ready_at.desc())
        .limit(limit)
    )
    return [
        Sample(row.centre, row.app or "", max(timedelta(), row.ready_at - row.started_at).total_seconds())
        for row in tx.execute(query)
    ]


def count(tx: Tx) -> tuple[int, int, int]:
    """Returns how many decisions, snapshots and terms there are."""
    found = [
        tx.execute(select(func.count()).select_from(table)).scalar() or 0 for table in (decisions, snapshots, terms)
    ]
    return found[0], found[1], found[2]
