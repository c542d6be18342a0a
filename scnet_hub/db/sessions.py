"""Queries on sessions and their events. Every change bumps `version`, which long polls watch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select, update

from . import Tx
from .tables import events, sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """One session as stored; amounts are micro-credits, `request` and `placement` their JSON documents."""

    id: str
    version: int
    person: str
    project: str
    kind: str
    name: str
    state: str
    live: bool
    request: dict[str, Any]
    placement: dict[str, Any]
    payload: dict[str, Any]
    nonce: str
    centre: str
    partition: str
    why: str
    account: str
    job_id: str
    node: str
    host: str
    port: int
    address: str
    reason: str
    place_in_queue: int
    end_reason: str
    created_at: datetime
    submitted_at: datetime | None
    started_at: datetime | None
    ready_at: datetime | None
    cancelled_at: datetime | None
    ended_at: datetime | None
    unknown_since: datetime | None
    unknown_why: str
    held: int
    charged: int | None


def _row(row: Row[Any]) -> SessionRow:
    return SessionRow(**row._mapping)


def insert(tx: Tx, **values: Any) -> None:
    tx.execute(sessions.insert().values(version=1, **values))


def get(tx: Tx, session_id: str) -> SessionRow | None:
    row = tx.execute(select(sessions).where(sessions.c.id == session_id)).first()
    return _row(row) if row else None


def live_one(tx: Tx, person: str, kind: str, name: str) -> SessionRow | None:
    query = select(sessions).where(sessions.c.live, sessions.c.person == person, sessions.c.kind == kind, sessions.c.name == name)
    row = tx.execute(query).first()
    return _row(row) if row else None


def live(tx: Tx, *, person: str = "", centre: str = "", project: str = "") -> list[SessionRow]:
    query = select(sessions).where(sessions.c.live).order_by(sessions.c.created_at, sessions.c.id)
    for column, value in ((sessions.c.person, person), (sessions.c.centre, centre), (sessions.c.project, project)):
        if value:
            query = query.where(column == value)
    return [_row(row) for row in tx.execute(query)]


def ended(tx: Tx, *, person: str = "", limit: int = 50) -> list[SessionRow]:
    query = select(sessions).where(~sessions.c.live).order_by(sessions.c.ended_at.desc(), sessions.c.id).limit(limit)
    if person:
        query = query.where(sessions.c.person == person)
    return [_row(row) for row in tx.execute(query)]


def uncharged(tx: Tx, centre: str) -> list[SessionRow]:
    """Ended sessions of a centre that still wait for its usage record."""
    query = select(sessions).where(sessions.c.centre == centre, ~sessions.c.live, sessions.c.charged.is_(None))
    return [_row(row) for row in tx.execute(query)]


def change(tx: Tx, session_id: str, **values: Any) -> None:
    tx.execute(update(sessions).where(sessions.c.id == session_id).values(version=sessions.c.version + 1, **values))


def say(tx: Tx, session_id: str, at: datetime, message: str) -> None:
    """Adds a line to the session's log, unless it repeats the last one."""
    last = tx.execute(select(events.c.message).where(events.c.session == session_id).order_by(events.c.id.desc()).limit(1)).scalar()
    if last != message:
        tx.execute(events.insert().values(session=session_id, at=at, message=message))


def log(tx: Tx, ids: Iterable[str]) -> dict[str, list[tuple[datetime, str]]]:
    found: dict[str, list[tuple[datetime, str]]] = {session_id: [] for session_id in ids}
    query = select(events).where(events.c.session.in_(found)).order_by(events.c.id)
    for row in tx.execute(query):
        found[row.session].append((row.at, row.message))
    return found


def count_live(tx: Tx) -> dict[tuple[str, str, str], int]:
    """Live sessions by centre, kind and state."""
    by = (sessions.c.centre, sessions.c.kind, sessions.c.state)
    query = select(*by, func.count()).where(sessions.c.live).group_by(*by)
    return {(centre, kind, state): count for centre, kind, state, count in tx.execute(query)}
