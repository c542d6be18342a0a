"""Queries on lots and holds: what the entries come to. Whoever reads them to write holds their rows until the end of its transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select

from ..ledger.lots import Lot
from . import Tx
from .tables import holds, lots

_COUNTED = ("granted", "available", "held", "spent", "expired")
_CHANGE = (
    lots.update()
    .where(lots.c.project == bindparam("of_project"), lots.c.unit == bindparam("of_unit"), lots.c.name == bindparam("of_name"))
    .values({name: lots.c[name] + bindparam(f"more_{name}") for name in _COUNTED})
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRow:
    """What a session holds: `parts` of each lot, in micro-units, after so many changes. It is open, and then posted or void, for ever."""

    session: str
    project: str
    unit: str
    parts: Mapping[str, int]
    step: int
    state: str


def of(tx: Tx, project: str, unit: str, *, lock: bool = False) -> list[Lot]:
    """A project's lots by name; locked, nobody else writes them before this transaction ends."""
    query = select(lots).where(lots.c.project == project, lots.c.unit == unit).order_by(lots.c.name)
    return [_lot(row._mapping) for row in tx.execute(query.with_for_update() if lock else query)]


def put(tx: Tx, lot: Lot) -> None:
    tx.execute(lots.insert().values(**{column.name: getattr(lot, column.name) for column in lots.c} | {"centres": [*lot.centres]}))


def limit(tx: Tx, project: str, unit: str, name: str, floor: int) -> None:
    """How far below zero its available may fall from now on."""
    tx.execute(lots.update().where(lots.c.project == project, lots.c.unit == unit, lots.c.name == name).values(floor=floor))


def change(tx: Tx, project: str, unit: str, by: Mapping[str, Mapping[str, int]]) -> None:
    """Adds to the numbers of lots, by lot's name and number's name."""
    rows = [
        {"of_project": project, "of_unit": unit, "of_name": name, **{f"more_{one}": numbers.get(one, 0) for one in _COUNTED}}
        for name, numbers in by.items()
    ]
    if rows:
        tx.execute(_CHANGE, rows)


def over(tx: Tx, now: datetime) -> list[Lot]:
    """Lots whose time is over and of which something is left."""
    return [_lot(row._mapping) for row in tx.execute(select(lots).where(lots.c.expires_at <= now, lots.c.available > 0).with_for_update())]


def every(tx: Tx) -> list[Lot]:
    return [_lot(row._mapping) for row in tx.execute(select(lots).order_by(lots.c.project, lots.c.unit, lots.c.name))]


def hold(tx: Tx, session: str) -> HoldRow | None:
    """Locked."""
    row = tx.execute(select(holds).where(holds.c.session == session).with_for_update()).first()
    return HoldRow(**row._mapping) if row else None


def open_holds(tx: Tx) -> list[HoldRow]:
    return [HoldRow(**row._mapping) for row in tx.execute(select(holds).where(holds.c.state == "open"))]


def put_hold(tx: Tx, row: HoldRow) -> None:
    values = {"parts": dict(row.parts), "step": row.step, "state": row.state}
    if row.step == 1 and row.state == "open":
        tx.execute(holds.insert().values(session=row.session, project=row.project, unit=row.unit, **values))
    else:
        tx.execute(holds.update().where(holds.c.session == row.session).values(values))


def _lot(row: Mapping[Any, Any]) -> Lot:
    return Lot(**{**row, "centres": tuple(row["centres"])})
