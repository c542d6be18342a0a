"""Queries on sessions that are not charged yet: only the columns that an estimate of the cost needs, and no JSON but
the sizes.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import BigInteger, and_, cast, select

from ....domain.sessions.records import SessionCopy
from ..database import Tx
from ..tables import CHARGES, copies, entries, postings, sessions
from .spending import PAID

AT_ONCE = 400  # ids in one question


class OpenRow(NamedTuple):
    """A session by its leading copy; `held` in micro-credits, `memory` in bytes as requested (0: not requested)."""

    id: str
    person: str
    project: str
    centre: str
    partition: str
    state: str
    held: int
    started_at: datetime | None
    ended_at: datetime | None
    job_live: bool
    cores: int
    gpus: int
    gpu_model: str
    memory: int
    nodes: int


_ASKED = sessions.c.request
_COLUMNS = (
    sessions.c.id, sessions.c.person, sessions.c.project, copies.c.centre, copies.c.partition, sessions.c.state,
    sessions.c.held, copies.c.started_at, sessions.c.ended_at, copies.c.live, _ASKED["cores"].as_integer(),
    _ASKED["gpus"].as_integer(), _ASKED["gpu_model"].as_string(), cast(_ASKED["memory"].as_string(), BigInteger),
    _ASKED["nodes"].as_integer(),
)  # fmt: skip
_LEAD = and_(copies.c.session == sessions.c.id, copies.c.number == sessions.c.lead)


def open_row(row: SessionCopy) -> OpenRow:
    """Returns the same columns of whole values."""
    session, copy = row
    asked = session.request
    return OpenRow(
        session.id, session.person, session.project, copy.centre, copy.partition, session.state, session.held,
        copy.started_at, session.ended_at, copy.live, asked["cores"], asked["gpus"], asked["gpu_model"],
        asked["memory"], asked["nodes"],
    )  # fmt: skip


def uncharged(tx: Tx, *, project: str = "", person: str = "", begun: bool = False) -> list[OpenRow]:
    """Returns live sessions and sessions that wait for their centre's record, unordered. `begun`: only sessions with a
    job that ran or may run."""
    query = select(*_COLUMNS).join_from(sessions, copies, _LEAD).where(sessions.c.charged.is_(None))
    query = query.where(copies.c.started_at.is_not(None)) if begun else query
    for column, value in ((sessions.c.project, project), (sessions.c.person, person)):
        query = query.where(column == value) if value else query
    return [OpenRow._make(row) for row in tx.execute(query)]


def paid(tx: Tx, ids: Iterable[str]) -> dict[str, int]:
    """Returns the micro-credits that each of these sessions was charged so far, less those taken back."""
    found: dict[str, int] = {}
    wanted = sorted({*ids})
    for first in range(0, len(wanted), AT_ONCE):
        query = select(entries.c.session, PAID).join_from(entries, postings, postings.c.entry == entries.c.id)
        mine = query.where(entries.c.session.in_(wanted[first : first + AT_ONCE]), CHARGES).group_by(entries.c.session)
        found |= {session: int(micros) for session, micros in tx.execute(mine)}
    return found
