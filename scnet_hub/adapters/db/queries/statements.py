"""Queries on statements: each member's statement of a month, and the member's answers. A statement's numbers never
change.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select

from ....errors import BadOption
from ..database import Tx
from ..tables import statements


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementRow:
    """One member's month in one book. `document`: its lines, the amount due, who reimburses what. The last answer has
    columns of its own; `trail` has all answers, a line each."""

    period: str
    unit: str
    member: str
    document: Mapping[str, Any]
    issued_at: datetime
    accept_by: datetime
    state: str = "issued"
    words: str = ""
    answered_by: str = ""
    answered_at: datetime | None = None
    trail: str = ""

    @property
    def name(self) -> str:
        return f"{self.period}/{self.unit}/{self.member}"


def insert(tx: Tx, row: StatementRow) -> None:
    tx.execute(statements.insert().values(**{one.name: getattr(row, one.name) for one in fields(row)}))


def get(tx: Tx, period: str, unit: str, member: str, *, lock: bool = False) -> StatementRow | None:
    """Returns a statement; with `lock` locked for writing."""
    query = select(statements).where(
        statements.c.period == period, statements.c.unit == unit, statements.c.member == member
    )
    row = tx.execute(query.with_for_update() if lock else query).first()
    return StatementRow(**row._mapping) if row else None


def list_for(
    tx: Tx,
    *,
    period: str = "",
    unit: str = "",
    state: str = "",
    members: Collection[str] | None = None,
    after: str = "",
    limit: int = 1000,
) -> list[StatementRow]:
    """Returns statements, newest month first, of these members or of all; those behind the statement of the name
    `after`. Raises BadOption for another cursor."""
    given = {"period": period, "unit": unit, "state": state}
    query = select(statements).where(*(statements.c[name] == value for name, value in given.items() if value))
    if members is not None:
        query = query.where(statements.c.member.in_(members))
    if after:
        query = query.where(_behind(after))
    query = query.order_by(statements.c.period.desc(), statements.c.unit.desc(), statements.c.member).limit(limit)
    return [StatementRow(**row._mapping) for row in tx.execute(query)]


def _behind(name: str) -> ColumnElement[bool]:
    month, _, rest = name.partition("/")
    book, _, member = rest.partition("/")
    if not (month and book and member):
        raise BadOption(
            f"after: {name[:40]!r} is not the name of a statement.", hint="It is the `next` of the page before."
        )
    same_month, same_book = statements.c.period == month, statements.c.unit == book
    later = (
        statements.c.period < month,
        and_(same_month, statements.c.unit < book),
        and_(same_month, same_book, statements.c.member > member),
    )
    return or_(*later)


def answer(tx: Tx, row: StatementRow) -> None:
    """Writes the answer of the member, or of the operators, to a statement."""
    key = (statements.c.period == row.period, statements.c.unit == row.unit, statements.c.member == row.member)
    said = {
        "state": row.state,
        "words": row.words,
        "answered_by": row.answered_by,
        "answered_at": row.answered_at,
        "trail": row.trail,
    }
    tx.execute(statements.update().where(*key).values(**said))


def silent(tx: Tx, now: datetime) -> list[StatementRow]:
    """Returns statements that were not answered in time."""
    query = select(statements).where(statements.c.state == "issued", statements.c.accept_by <= now).with_for_update()
    return [StatementRow(**row._mapping) for row in tx.execute(query)]


def count(tx: Tx) -> dict[str, int]:
    """Returns how many statements there are in each state."""
    return {
        state: int(number)
        for state, number in tx.execute(select(statements.c.state, func.count()).group_by(statements.c.state))
    }
