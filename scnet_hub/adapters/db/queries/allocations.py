"""Queries on allocations: requested, granted or declined, by whom and until when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select

from ..database import Tx
from ..tables import allocations


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocationRow:
    """One allocation, from the request on. `state`: requested, approved (and not begun), active, ended, declined,
    withdrawn. `renews` is the allocation whose remainder this allocation takes over when it begins."""

    id: str
    project: str
    unit: str
    grantor: str
    micros: int
    centres: tuple[str, ...]
    begins_at: datetime
    ends_at: datetime | None
    state: str
    asked_by: str
    asked_at: datetime
    words: str
    decided_by: str
    decided_at: datetime | None
    answer: str
    renews: str


def insert(tx: Tx, row: AllocationRow) -> None:
    tx.execute(
        allocations.insert().values(
            {name: getattr(row, name) for name in AllocationRow.__slots__} | {"centres": [*row.centres]}
        )
    )


def update(tx: Tx, allocation: str, **values: Any) -> None:
    tx.execute(allocations.update().where(allocations.c.id == allocation).values(**values))


def get(tx: Tx, allocation: str) -> AllocationRow | None:
    row = tx.execute(select(allocations).where(allocations.c.id == allocation).with_for_update()).first()
    return _row(row._mapping) if row else None


def list_for(tx: Tx, *, project: str = "", state: str = "") -> list[AllocationRow]:
    """Returns allocations, newest first, of that project and in that state, if given."""
    query = select(allocations).order_by(allocations.c.asked_at.desc(), allocations.c.id)
    for column, value in ((allocations.c.project, project), (allocations.c.state, state)):
        query = query.where(column == value) if value else query
    return [_row(row._mapping) for row in tx.execute(query)]


def due(tx: Tx, now: datetime) -> list[AllocationRow]:
    """Returns the allocations that are to begin or end now."""
    begins = (allocations.c.state == "approved") & (allocations.c.begins_at <= now)
    ends = (allocations.c.state == "active") & (allocations.c.ends_at <= now)
    return [_row(row._mapping) for row in tx.execute(select(allocations).where(or_(begins, ends)).with_for_update())]


def _row(row: Mapping[Any, Any]) -> AllocationRow:
    return AllocationRow(**{**row, "centres": tuple(row["centres"])})
