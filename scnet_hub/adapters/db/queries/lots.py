"""Queries on lots and holds: the totals of the entries. A transaction that reads rows in order to write them locks them
until its end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from ....domain.ledger.lots import Lot
from .. import raw_sql
from ..database import Tx
from ..tables import holds, lots

_LOTS = (
    "SELECT project, unit, name, grantor, granted, available, held, spent, expired, floor, expires_at, centres, "
    "rate FROM scnet_lots"
    " WHERE project = ? AND unit = ? ORDER BY name"
)
_LOTS_LOCKED = _LOTS + raw_sql.LOCK
_CHANGE = (
    "UPDATE scnet_lots SET granted = granted + ?, available = available + ?, held = held + ?, spent = spent + ?, "
    "expired = expired + ?"
    " WHERE project = ? AND unit = ? AND name = ?"
)
_COUNTED = ("granted", "available", "held", "spent", "expired")
_HOLD = "SELECT session, project, unit, parts, step, state FROM scnet_holds WHERE session = ?" + raw_sql.LOCK
_NEW_HOLD = (
    "INSERT INTO scnet_holds (session, project, unit, parts, step, state) VALUES (?, ?, ?, ?, 1, 'open') ON "
    "CONFLICT (session) DO NOTHING"
)
_SET_HOLD = "UPDATE scnet_holds SET parts = ?, step = ?, state = ? WHERE session = ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRow:
    """A session's hold: `parts` in micro-units by lot, after `step` changes. A hold is open, then posted or void, until
    its charges are taken back."""

    session: str
    project: str
    unit: str
    parts: Mapping[str, int]
    step: int
    state: str


def list_for(tx: Tx, project: str, unit: str, *, lock: bool = False) -> list[Lot]:
    """Returns a project's lots by name; with `lock` no other transaction writes them before this transaction ends."""
    return [_lot(row) for row in raw_sql.run(tx, _LOTS_LOCKED if lock else _LOTS, project, unit)]


def insert(tx: Tx, lot: Lot) -> None:
    tx.execute(
        lots.insert().values(
            **{column.name: getattr(lot, column.name) for column in lots.c} | {"centres": [*lot.centres]}
        )
    )


def limit(tx: Tx, project: str, unit: str, name: str, floor: int) -> None:
    """Sets how far below zero a lot's available credits may fall."""
    tx.execute(
        lots.update().where(lots.c.project == project, lots.c.unit == unit, lots.c.name == name).values(floor=floor)
    )


def update(tx: Tx, project: str, unit: str, by: Mapping[str, Mapping[str, int]]) -> None:
    """Adds to the numbers of lots, by lot's name and number's name."""
    for name, numbers in by.items():
        raw_sql.run(tx, _CHANGE, *[numbers.get(one, 0) for one in _COUNTED], project, unit, name)


def over(tx: Tx, now: datetime) -> list[Lot]:
    """Returns lots that have expired and are not empty."""
    return [
        _lot(row)
        for row in tx.execute(select(lots).where(lots.c.expires_at <= now, lots.c.available > 0).with_for_update())
    ]


def expiring(tx: Tx, after: datetime, until: datetime) -> list[Lot]:
    """Returns lots that expire in that time and are not empty."""
    wanted = (lots.c.expires_at > after, lots.c.expires_at <= until, lots.c.available > 0)
    return [
        _lot(row)
        for row in tx.execute(select(lots).where(*wanted).order_by(lots.c.expires_at, lots.c.project, lots.c.name))
    ]


def given_by(tx: Tx, grantor: str, unit: str) -> int:
    """Returns the micro-units that a grantor gave in all, less the micro-units that returned by expiry."""
    query = select(func.coalesce(func.sum(lots.c.granted - lots.c.expired), 0)).where(
        lots.c.grantor == grantor, lots.c.unit == unit
    )
    return int(tx.execute(query).scalar_one())


def every(tx: Tx) -> list[Lot]:
    return [_lot(row) for row in tx.execute(select(lots).order_by(lots.c.project, lots.c.unit, lots.c.name))]


def hold(tx: Tx, session: str) -> HoldRow | None:
    """Returns a session's hold, locked until this transaction ends; None if there is none."""
    row = raw_sql.run(tx, _HOLD, session).fetchone()
    return _hold(row) if row else None


def open_holds(tx: Tx) -> list[HoldRow]:
    return [_hold(row) for row in tx.execute(select(holds).where(holds.c.state == "open"))]


def open_hold(tx: Tx, session: str, project: str, unit: str, parts: Mapping[str, int]) -> bool:
    """Opens a session's first hold. Returns False (and writes nothing) if the session has a hold."""
    return bool(raw_sql.run(tx, _NEW_HOLD, session, project, unit, dict(parts)).rowcount)


def set_hold(tx: Tx, row: HoldRow) -> None:
    raw_sql.run(tx, _SET_HOLD, dict(row.parts), row.step, row.state, row.session)


def _hold(row: Sequence[Any]) -> HoldRow:
    session, project, unit, parts, step, state = row
    return HoldRow(session=session, project=project, unit=unit, parts=raw_sql.document(parts), step=step, state=state)


def _lot(row: Sequence[Any]) -> Lot:
    project, unit, name, grantor, granted, available, held, spent, expired, floor, expires_at, centres, rate = row
    return Lot(
        project=project, unit=unit, name=name, grantor=grantor, granted=granted, available=available, held=held,
        spent=spent, expired=expired, floor=floor, expires_at=raw_sql.moment(expires_at),
        centres=tuple(raw_sql.document(centres)), rate=rate,
    )  # fmt: skip
