"""Queries on sessions, their copies and their events. Every change increases the session's `version`, which long polls
watch.

A session is returned with its leading copy, unless a docstring says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, and_, func, or_, select

from ....display.session_states import INTENT
from ....domain.sessions.records import TOKEN, BriefRow, Copy, NewCopy, Session, SessionCopy
from ..database import Tx
from ..tables import copies, events, sessions

AT_ONCE = 400  # ids in one question
_LEAD = and_(copies.c.session == sessions.c.id, copies.c.number == sessions.c.lead)
_SESSION, _COPY = tuple(sessions.c.keys()), tuple(copies.c.keys())
BOTH = (*sessions.c, *copies.c)  # the columns that `pair` takes


def pair(row: Row[Any]) -> SessionCopy:
    """Returns the values of a row that has the columns `BOTH`."""
    session = Session(**dict(zip(_SESSION, row[: len(_SESSION)], strict=True)))
    return SessionCopy(session, _copy(row[len(_SESSION) :]))


def _copy(columns: Sequence[Any]) -> Copy:
    return Copy(**dict(zip(_COPY, columns, strict=True)))


# Made once: naming so many columns anew takes longer than SQLite does to answer.
_BY_LEAD = select(*BOTH).join_from(sessions, copies, _LEAD)
_BY_COPY = select(*BOTH).join_from(sessions, copies, copies.c.session == sessions.c.id)


def insert(tx: Tx, session: Mapping[str, Any], copy: Mapping[str, Any]) -> None:
    """Stores a session with its first copy, number 1: the columns of each."""
    tx.execute(sessions.insert().values(version=1, lead=1, **session))
    add_copy(tx, session["id"], 1, **copy)


def add_copy(tx: Tx, session_id: str, number: int, **columns: Any) -> None:
    new = {
        "state": INTENT, "live": True, "job_id": "", "end_reason": "", "node": "", "host": "", "port": 0,
        "address": "", "reason": "", "place_in_queue": 0, "unknown_why": "",
    }  # fmt: skip
    tx.execute(copies.insert().values(session=session_id, number=number, **(new | columns)))


def get(tx: Tx, session_id: str, number: int = 0) -> SessionCopy | None:
    """Returns the session by its leading copy, or by the copy with that number."""
    query = _BY_COPY.where(copies.c.number == number) if number else _BY_LEAD
    row = tx.execute(query.where(sessions.c.id == session_id)).first()
    return pair(row) if row else None


def copies_of(tx: Tx, session_id: str) -> list[SessionCopy]:
    """Returns the session's copies, oldest first."""
    return [pair(row) for row in tx.execute(_BY_COPY.where(sessions.c.id == session_id).order_by(copies.c.number))]


def live_one(tx: Tx, person: str, kind: str, name: str) -> SessionCopy | None:
    """Returns the live session that has this name."""
    one = (
        sessions.c.live,
        ~sessions.c.in_line,
        sessions.c.person == person,
        sessions.c.kind == kind,
        sessions.c.name == name,
    )
    row = tx.execute(_BY_LEAD.where(*one)).first()
    return pair(row) if row else None


def next_in_line(tx: Tx, session_id: str) -> SessionCopy | None:
    """Returns the session that took, or will take, the place of that session: the newest, if earlier ones failed."""
    row = tx.execute(_BY_LEAD.where(sessions.c.continues == session_id).order_by(sessions.c.created_at.desc())).first()
    return pair(row) if row else None


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
    there = (copies.c.live, copies.c.centre.in_([*centres]), sessions.c.id != but)
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


def live(tx: Tx, *, person: str = "", centre: str = "", project: str = "") -> list[SessionCopy]:
    query = _BY_LEAD.where(sessions.c.live).order_by(sessions.c.created_at, sessions.c.id)
    for column, value in ((sessions.c.person, person), (copies.c.centre, centre), (sessions.c.project, project)):
        if value:
            query = query.where(column == value)
    return [pair(row) for row in tx.execute(query)]


def ending_with(tx: Tx, session: Session) -> list[SessionCopy]:
    """Returns the person's live sessions that must end when `session` ends."""
    wanted = sessions.c.request["ends_with"].as_string() == session.id
    return [
        pair(row) for row in tx.execute(_BY_LEAD.where(sessions.c.live, sessions.c.person == session.person, wanted))
    ]


def live_copies(tx: Tx, *, centre: str = "") -> list[SessionCopy]:
    """Returns all jobs that may be at a centre, including jobs of sessions that are over: a row for each copy."""
    query = _BY_COPY.where(copies.c.live).order_by(sessions.c.created_at, sessions.c.id, copies.c.number)
    return [pair(row) for row in tx.execute(query.where(copies.c.centre == centre) if centre else query)]


_NEW = (copies.c.centre, copies.c.partition, copies.c.submitted_at, sessions.c.request)


def newest_copies(tx: Tx, since: datetime) -> list[NewCopy]:
    """Returns the jobs that may be at a centre and were not submitted before `since`."""
    query = select(*_NEW).join_from(copies, sessions, copies.c.session == sessions.c.id)
    new = or_(copies.c.submitted_at.is_(None), copies.c.submitted_at >= since)
    ordered = query.where(copies.c.live, new).order_by(sessions.c.created_at, sessions.c.id, copies.c.number)
    return [NewCopy(*row) for row in tx.execute(ordered)]


def leased_by(tx: Tx, until: datetime) -> list[str]:
    """Returns live sessions that are not being stopped and whose lease ends by then, next first."""
    wanted = (sessions.c.live, sessions.c.cancelled_at.is_(None), sessions.c.leased_until <= until)
    return [
        str(one) for one in tx.execute(select(sessions.c.id).where(*wanted).order_by(sessions.c.leased_until)).scalars()
    ]


def starting(tx: Tx, kind: str) -> list[SessionCopy]:
    """Returns live sessions of a kind that were never ready and are not being stopped, each with all its copies, in
    order."""
    wanted = (
        sessions.c.live,
        sessions.c.kind == kind,
        sessions.c.ready_at.is_(None),
        sessions.c.cancelled_at.is_(None),
    )
    return [
        pair(row)
        for row in tx.execute(_BY_COPY.where(*wanted).order_by(sessions.c.created_at, sessions.c.id, copies.c.number))
    ]


_WISH = func.coalesce(sessions.c.request["second_chance"].as_string(), "auto")


def waiting_jobs(tx: Tx, asked_by: datetime) -> list[str]:
    """Returns live sessions other than Labs of which no live copy has started and none was requested after `asked_by`,
    oldest first, without those whose owner wants no second chance."""
    wanted = (
        sessions.c.live,
        sessions.c.kind != "lab",
        sessions.c.ready_at.is_(None),
        sessions.c.cancelled_at.is_(None),
        _WISH != "no",
    )
    query = select(sessions.c.id).join_from(sessions, copies, copies.c.session == sessions.c.id).where(*wanted)
    due = and_(func.max(copies.c.asked_at) <= asked_by, func.count(copies.c.started_at).filter(copies.c.live) == 0)
    found = query.group_by(sessions.c.id).having(due).order_by(sessions.c.created_at, sessions.c.id)
    return [str(one) for one in tx.execute(found).scalars()]


def called_home(tx: Tx, last: int) -> set[str]:
    """Returns the centres of the `last` sessions that called home: their nodes reach the broker."""
    ready = select(sessions.c.id, sessions.c.lead).where(sessions.c.ready_at.is_not(None))
    newest = ready.order_by(sessions.c.ready_at.desc()).limit(last).subquery()
    lead = and_(copies.c.session == newest.c.id, copies.c.number == newest.c.lead)
    return set(tx.execute(select(copies.c.centre).distinct().join_from(newest, copies, lead)).scalars())


_KEPT = tuple(name for name in _SESSION if name not in ("placement", "payload"))
_TOKEN = sessions.c.payload[("env", TOKEN)].as_string()
_SHORT = (*(sessions.c[name] for name in _KEPT), _TOKEN, *copies.c)


def listed(tx: Tx, *, person: str = "", kind: str = "", after: str = "", limit: int) -> list[SessionCopy]:
    """Returns a page of live sessions, oldest first: those after the session `after`. Long columns are left out:
    placements, and payloads except the token."""
    return [
        _short(row)
        for row in tx.execute(
            _live_page(select(*_SHORT).join_from(sessions, copies, _LEAD), person, kind, after, limit)
        )
    ]


def ended(tx: Tx, *, person: str = "", kind: str = "", limit: int = 50) -> list[SessionCopy]:
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


def _short(row: Row[Any]) -> SessionCopy:
    kept, token, of_copy = row[: len(_KEPT)], row[len(_KEPT)], row[len(_KEPT) + 1 :]
    payload = {"env": {TOKEN: token}} if token else {}
    session = Session(**dict(zip(_KEPT, kept, strict=True)), placement={}, payload=payload)
    return SessionCopy(session, _copy(of_copy))


_BRIEF = (*(sessions.c[name] if name in sessions.c else copies.c[name] for name in BriefRow._fields[:-1]), _TOKEN)


def versions(tx: Tx, *, person: str = "", kind: str = "", after: str = "", limit: int) -> list[tuple[str, int]]:
    """Returns a page of live sessions, oldest first: their ids and versions."""
    rows = tx.execute(_live_page(select(sessions.c.id, sessions.c.version), person, kind, after, limit))
    return [(session, version) for session, version in rows]


def briefs(tx: Tx, ids: Sequence[str]) -> list[BriefRow]:
    """Returns these sessions, unordered."""
    query = select(*_BRIEF).join_from(sessions, copies, _LEAD)
    pages = (query.where(sessions.c.id.in_(ids[first : first + AT_ONCE])) for first in range(0, len(ids), AT_ONCE))
    return [BriefRow._make(row) for page in pages for row in tx.execute(page)]


def unsettled(tx: Tx, centre: str) -> list[SessionCopy]:
    """Returns copies that ended at that centre and still wait for their usage record."""
    query = _BY_COPY.where(copies.c.centre == centre, ~copies.c.live, copies.c.used.is_(None))
    return [pair(row) for row in tx.execute(query)]


def uncharged(tx: Tx, project: str) -> list[SessionCopy]:
    """Returns sessions of a project that are over and not charged yet."""
    query = _BY_LEAD.where(sessions.c.project == project, ~sessions.c.live, sessions.c.charged.is_(None))
    return [pair(row) for row in tx.execute(query)]


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


def update(tx: Tx, session_id: str, **columns: Any) -> None:
    """Sets columns of the session. Raises CompileError for a column that sessions do not have."""
    change = sessions.update().values(version=sessions.c.version + 1, **columns)
    tx.execute(change.where(sessions.c.id == session_id))


def update_copy(tx: Tx, session_id: str, number: int, **columns: Any) -> None:
    """Sets columns of the session's copy `number` (0: the leading copy). Raises CompileError for a column that copies
    do not have."""
    update(tx, session_id)
    which = number or select(sessions.c.lead).where(sessions.c.id == session_id).scalar_subquery()
    tx.execute(copies.update().where(copies.c.session == session_id, copies.c.number == which).values(**columns))


def add_event(tx: Tx, session_id: str, at: datetime, message: str) -> None:
    """Adds a line to the session's log, unless it repeats the last line."""
    last = tx.execute(
        select(events.c.message).where(events.c.session == session_id).order_by(events.c.id.desc()).limit(1)
    ).scalar()
    if last != message:
        tx.execute(events.insert().values(session=session_id, at=at, message=message))


def events_of(tx: Tx, ids: Iterable[str]) -> dict[str, list[tuple[datetime, str]]]:
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
