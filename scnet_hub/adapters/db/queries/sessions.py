"""Queries on sessions, their copies and their events. Every change increases the session's `version`, which long polls
watch.

A row is a session as seen by one of its copies: by the leading copy, unless a docstring says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, and_, func, or_, select, update

from ....display.session_states import INTENT
from ....domain.sessions.records import TOKEN, BriefRow, NewCopy, SessionRow
from ..database import Tx
from ..tables import copies, events, sessions

_COPYS = frozenset(copies.c.keys()) - {"session"}
AT_ONCE = 400  # ids in one question
_LEAD = and_(copies.c.session == sessions.c.id, copies.c.number == sessions.c.lead)
_ALL = (*sessions.c, *(column for column in copies.c if column.name != "session"))


def _row(row: Row[Any]) -> SessionRow:
    return SessionRow(**row._mapping)


# Made once: naming so many columns anew takes longer than SQLite does to answer.
_BY_LEAD = select(*_ALL).join_from(sessions, copies, _LEAD)
_BY_COPY = select(*_ALL).join_from(sessions, copies, copies.c.session == sessions.c.id)


def insert(tx: Tx, **values: Any) -> None:
    """Stores a session with its first copy, number 1: the columns of both."""
    tx.execute(
        sessions.insert().values(
            version=1, lead=1, **{name: value for name, value in values.items() if name not in _COPYS}
        )
    )
    add_copy(tx, values["id"], 1, **{name: value for name, value in values.items() if name in _COPYS})


def add_copy(tx: Tx, session_id: str, number: int, **values: Any) -> None:
    new = {
        "job_state": INTENT, "job_live": True, "job_id": "", "job_end": "", "node": "", "host": "", "port": 0,
        "address": "", "reason": "", "place_in_queue": 0, "unknown_why": "",
    }  # fmt: skip
    tx.execute(copies.insert().values(session=session_id, number=number, **(new | values)))


def get(tx: Tx, session_id: str, number: int = 0) -> SessionRow | None:
    """Returns the session by its leading copy, or by the copy with that number."""
    query = _BY_COPY.where(copies.c.number == number) if number else _BY_LEAD
    row = tx.execute(query.where(sessions.c.id == session_id)).first()
    return _row(row) if row else None


def copies_of(tx: Tx, session_id: str) -> list[SessionRow]:
    """Returns the session's copies, oldest first."""
    return [_row(row) for row in tx.execute(_BY_COPY.where(sessions.c.id == session_id).order_by(copies.c.number))]


def live_one(tx: Tx, person: str, kind: str, name: str) -> SessionRow | None:
    """Returns the live session that has this name."""
    one = (
        sessions.c.live,
        ~sessions.c.in_line,
        sessions.c.person == person,
        sessions.c.kind == kind,
        sessions.c.name == name,
    )
    row = tx.execute(_BY_LEAD.where(*one)).first()
    return _row(row) if row else None


def next_in_line(tx: Tx, session_id: str) -> SessionRow | None:
    """Returns the session that took, or will take, the place of that session: the newest, if earlier ones failed."""
    row = tx.execute(_BY_LEAD.where(sessions.c.continues == session_id).order_by(sessions.c.created_at.desc())).first()
    return _row(row) if row else None


_SIZES = tuple(func.coalesce(func.sum(sessions.c.request[what].as_integer()), 0) for what in ("cores", "gpus"))


def use(tx: Tx, *, person: str = "", project: str = "", but: str = "") -> tuple[int, int, int]:
    """Returns the sessions, cores and GPUs of that person's live sessions in that project, without the session `but`;
    each session counts once."""
    query = select(func.count(), *_SIZES).where(sessions.c.live, sessions.c.id != but)
    for column, value in ((sessions.c.person, person), (sessions.c.project, project)):
        query = query.where(column == value) if value else query
    count, cores, gpus = tx.execute(query).one()
    return int(count), int(cores), int(gpus)


def uses_at(tx: Tx, centres: Iterable[str], *, but: str = "") -> dict[tuple[str, str], tuple[int, int, int]]:
    """Returns the same numbers by centre and person, for all jobs that may be there: each copy of a session counts at
    its centre."""
    query = select(copies.c.centre, sessions.c.person, func.count(), *_SIZES).join_from(
        copies, sessions, copies.c.session == sessions.c.id
    )
    there = (copies.c.job_live, copies.c.centre.in_([*centres]), sessions.c.id != but)
    rows = tx.execute(query.where(*there).group_by(copies.c.centre, sessions.c.person))
    return {(centre, person): (int(count), int(cores), int(gpus)) for centre, person, count, cores, gpus in rows}


def spent_by(tx: Tx, project: str, person: str) -> tuple[int, int]:
    """Returns the micro-credits that a person's sessions in a project were charged, and those that uncharged sessions
    hold."""
    mine = (sessions.c.project == project) & (sessions.c.person == person)
    spent, held = func.coalesce(func.sum(sessions.c.charged), 0), func.coalesce(func.sum(sessions.c.held), 0)
    return (
        int(tx.execute(select(spent).where(mine)).scalar_one()),
        int(tx.execute(select(held).where(mine, sessions.c.charged.is_(None))).scalar_one()),
    )


def live(tx: Tx, *, person: str = "", centre: str = "", project: str = "") -> list[SessionRow]:
    query = _BY_LEAD.where(sessions.c.live).order_by(sessions.c.created_at, sessions.c.id)
    for column, value in ((sessions.c.person, person), (copies.c.centre, centre), (sessions.c.project, project)):
        if value:
            query = query.where(column == value)
    return [_row(row) for row in tx.execute(query)]


def live_copies(tx: Tx, *, centre: str = "") -> list[SessionRow]:
    """Returns all jobs that may be at a centre, including jobs of sessions that are over: a row for each copy."""
    query = _BY_COPY.where(copies.c.job_live).order_by(sessions.c.created_at, sessions.c.id, copies.c.number)
    return [_row(row) for row in tx.execute(query.where(copies.c.centre == centre) if centre else query)]


_NEW = (copies.c.centre, copies.c.partition, copies.c.submitted_at, sessions.c.request)


def newest_copies(tx: Tx, since: datetime) -> list[NewCopy]:
    """Returns the jobs that may be at a centre and were not submitted before `since`."""
    query = select(*_NEW).join_from(copies, sessions, copies.c.session == sessions.c.id)
    new = or_(copies.c.submitted_at.is_(None), copies.c.submitted_at >= since)
    ordered = query.where(copies.c.job_live, new).order_by(sessions.c.created_at, sessions.c.id, copies.c.number)
    return [NewCopy(*row) for row in tx.execute(ordered)]


def leased_by(tx: Tx, until: datetime) -> list[str]:
    """Returns live sessions that are not being stopped and whose lease ends by then, next first."""
    wanted = (sessions.c.live, sessions.c.cancelled_at.is_(None), sessions.c.leased_until <= until)
    return [
        str(one) for one in tx.execute(select(sessions.c.id).where(*wanted).order_by(sessions.c.leased_until)).scalars()
    ]


def starting(tx: Tx, kind: str) -> list[SessionRow]:
    """Returns live sessions of a kind that were never ready and are not being stopped, each with all its copies, in
    order."""
    wanted = (
        sessions.c.live,
        sessions.c.kind == kind,
        sessions.c.ready_at.is_(None),
        sessions.c.cancelled_at.is_(None),
    )
    return [
        _row(row)
        for row in tx.execute(_BY_COPY.where(*wanted).order_by(sessions.c.created_at, sessions.c.id, copies.c.number))
    ]


_KEPT = tuple(column for column in _ALL if column.name not in ("placement", "payload"))
_SHORT = (*_KEPT, sessions.c.payload[("env", TOKEN)].as_string())
_SHORT_NAMES = tuple(column.name for column in _KEPT)


def listed(tx: Tx, *, person: str = "", kind: str = "", after: str = "", limit: int) -> list[SessionRow]:
    """Returns a page of live sessions, oldest first: those after the session `after`. Long columns are left out:
    placements, and payloads except the token."""
    return [
        _short(row)
        for row in tx.execute(
            _live_page(select(*_SHORT).join_from(sessions, copies, _LEAD), person, kind, after, limit)
        )
    ]


def ended(tx: Tx, *, person: str = "", kind: str = "", limit: int = 50) -> list[SessionRow]:
    """Returns the newest sessions that are over, with the same short columns."""
    query = select(*_SHORT).join_from(sessions, copies, _LEAD).where(~sessions.c.live)
    ordered = _whose(query, person, kind).order_by(sessions.c.ended_at.desc(), sessions.c.id)
    return [_short(row) for row in tx.execute(ordered.limit(limit))]


def _live_page(query: Select[Any], person: str, kind: str, after: str, limit: int) -> Select[Any]:
    query = _whose(query.where(sessions.c.live), person, kind)
    if after:
        at = select(sessions.c.created_at).where(sessions.c.id == after).scalar_subquery()
        query = query.where(or_(sessions.c.created_at > at, and_(sessions.c.created_at == at, sessions.c.id > after)))
    return query.order_by(sessions.c.created_at, sessions.c.id).limit(limit)


def _whose(query: Select[Any], person: str, kind: str) -> Select[Any]:
    for column, value in ((sessions.c.person, person), (sessions.c.kind, kind)):
        query = query.where(column == value) if value else query
    return query


def _short(row: Row[Any]) -> SessionRow:
    payload = {"env": {TOKEN: row[-1]}} if row[-1] else {}
    return SessionRow(**dict(zip(_SHORT_NAMES, row[:-1], strict=True)), placement={}, payload=payload)


_BRIEF = (*({one.name: one for one in _KEPT}[name] for name in BriefRow._fields[:-1]), _SHORT[-1])


def versions(tx: Tx, *, person: str = "", kind: str = "", after: str = "", limit: int) -> list[tuple[str, int]]:
    """Returns a page of live sessions, oldest first: their ids and versions."""
    rows = tx.execute(_live_page(select(sessions.c.id, sessions.c.version), person, kind, after, limit))
    return [(session, version) for session, version in rows]


def briefs(tx: Tx, ids: Sequence[str]) -> list[BriefRow]:
    """Returns these sessions, unordered."""
    query = select(*_BRIEF).join_from(sessions, copies, _LEAD)
    pages = (query.where(sessions.c.id.in_(ids[first : first + AT_ONCE])) for first in range(0, len(ids), AT_ONCE))
    return [BriefRow._make(row) for page in pages for row in tx.execute(page)]


def unsettled(tx: Tx, centre: str) -> list[SessionRow]:
    """Returns copies that ended at that centre and still wait for their usage record."""
    query = _BY_COPY.where(copies.c.centre == centre, ~copies.c.job_live, copies.c.used.is_(None))
    return [_row(row) for row in tx.execute(query)]


def uncharged(tx: Tx, project: str) -> list[SessionRow]:
    """Returns sessions of a project that are over and not charged yet."""
    query = _BY_LEAD.where(sessions.c.project == project, ~sessions.c.live, sessions.c.charged.is_(None))
    return [_row(row) for row in tx.execute(query)]


def last_centre(tx: Tx, person: str) -> str:
    """Returns the centre of this person's newest Lab session that was ever ready; "" if there is no such session."""
    query = select(copies.c.centre).join_from(
        sessions, copies, and_(copies.c.session == sessions.c.id, copies.c.number == sessions.c.lead)
    )
    mine = (sessions.c.person == person, sessions.c.kind == "lab", sessions.c.ready_at.is_not(None))
    return tx.execute(query.where(*mine).order_by(sessions.c.created_at.desc()).limit(1)).scalar() or ""


def asked_since(tx: Tx, at: datetime) -> Mapping[str, int]:
    """Returns how many copies were requested since then, by cause."""
    query = select(copies.c.cause, func.count()).where(copies.c.asked_at >= at).group_by(copies.c.cause)
    return {cause: count for cause, count in tx.execute(query)}


def change(tx: Tx, session_id: str, number: int = 0, **values: Any) -> None:
    """Sets columns of the session and of its copy `number` (0: the leading copy)."""
    own = {name: value for name, value in values.items() if name not in _COPYS}
    tx.execute(update(sessions).where(sessions.c.id == session_id).values(version=sessions.c.version + 1, **own))
    if of_copy := {name: value for name, value in values.items() if name in _COPYS}:
        which = number or select(sessions.c.lead).where(sessions.c.id == session_id).scalar_subquery()
        tx.execute(update(copies).where(copies.c.session == session_id, copies.c.number == which).values(**of_copy))


def say(tx: Tx, session_id: str, at: datetime, message: str) -> None:
    """Adds a line to the session's log, unless it repeats the last line."""
    last = tx.execute(
        select(events.c.message).where(events.c.session == session_id).order_by(events.c.id.desc()).limit(1)
    ).scalar()
    if last != message:
        tx.execute(events.insert().values(session=session_id, at=at, message=message))


def log(tx: Tx, ids: Iterable[str]) -> dict[str, list[tuple[datetime, str]]]:
    found: dict[str, list[tuple[datetime, str]]] = {session_id: [] for session_id in ids}
    query = select(events).where(events.c.session.in_(found)).order_by(events.c.id)
    for row in tx.execute(query):
        found[row.session].append((row.at, row.message))
    return found


def count_live(tx: Tx) -> dict[tuple[str, str, str], int]:
    """Returns how many sessions live, by centre, kind and state."""
    by = (copies.c.centre, sessions.c.kind, sessions.c.state)
    lead = and_(copies.c.session == sessions.c.id, copies.c.number == sessions.c.lead)
    query = select(*by, func.count()).join_from(sessions, copies, lead).where(sessions.c.live).group_by(*by)
    return {(centre, kind, state): count for centre, kind, state, count in tx.execute(query)}
