"""Makes the documents of docs/reference/rest.md for periods, statements and netting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from ...adapters.db.queries.periods import PeriodRow
from ...adapters.db.queries.statements import StatementRow
from ...domain.settlement.netting import netting, positions
from ...domain.settlement.settlement import Part
from ...domain.settlement.statements import COLUMNS, MONEY, Line, Statement
from ...units import MICRO, Amount
from ..documents import iso, number
from .answers import Reader, may
from .closing import period as period_of_row

Json = dict[str, Any]


def period(row: PeriodRow, hinders: Iterable[str] = ()) -> Json:
    own = period_of_row(row)
    return {
        "name": row.name, "start": iso(own.start), "end": iso(own.end), "state": row.state,
        "closing_at": iso(row.closing_at), "closed_at": iso(row.closed_at), "closed_by": row.closed_by,
        "cut": bool(row.cut), "hinders": list(hinders), "excuses": dict(row.terms.get("excuses", {})),
        "entries": row.sealed, "head": row.head,
    }  # fmt: skip


def statement_of(row: StatementRow) -> Statement:
    """Returns the statement as it was made."""
    lines = tuple(
        Line(
            column=one["column"], account=one["account"], amount=Amount(one["micros"], row.unit),
            entries=one["entries"], corrects=one["corrects"],
        )
        for one in row.document["lines"]
    )  # fmt: skip
    due = Amount(row.document["due"], MONEY)
    return Statement(member=row.member, period=row.period, unit=row.unit, lines=lines, reimbursed=due)


def statement(
    row: StatementRow, titles: Mapping[str, str], reader: Reader, now: datetime, of: PeriodRow | None = None
) -> Json:
    """Returns a statement, without its lines unless its period (`of`) is given."""
    one = statement_of(row)
    document: Json = {
        "name": row.name, "period": row.period, "book": row.unit, "member": row.member,
        "title": titles.get(row.member, row.member), "columns": {column: number(one.sum(column)) for column in COLUMNS},
        "net": number(one.net), "due": number(one.due), "due_unit": MONEY, "state": row.state,
        "issued_at": iso(row.issued_at), "accept_by": iso(row.accept_by), "words": row.words,
        "answered_by": row.answered_by, "answered_at": iso(row.answered_at), "trail": row.trail.splitlines(),
        "may": may(row, reader, now),
    }  # fmt: skip
    if of is None:
        return document
    return document | {
        "lines": [
            {
                "column": line.column, "account": line.account, "amount": number(line.amount), "entries": line.entries,
                "corrects": line.corrects,
            }
            for line in one.lines
        ],
        "reimbursements": [
            {
                "grantor": each["grantor"], "member": each["member"], "rate": each["rate"] / MICRO,
                "credits": number(each["credits"]), "money": number(each["money"]),
            }
            for each in row.document["reimbursements"]
        ],
        "entries": of.sealed, "head": of.head,
    }  # fmt: skip


def part(position: int, one: Part) -> Json:
    """Returns one entry's place in a statement."""
    return {
        "position": position, "key": one.key, "at": iso(one.at), "kind": one.kind, "project": one.project,
        "session": one.session, "column": one.column, "account": one.account, "amount": number(one.amount),
        "corrects": one.corrects, "reverses": one.reverses,
    }  # fmt: skip


def netted(name: str, rows: Iterable[StatementRow], titles: Mapping[str, str]) -> Json:
    """Returns each member's position for a month, over all units, and the payments that settle the positions."""
    owed = positions(statement_of(row) for row in rows)
    return {
        "period": name,
        "unit": MONEY,
        "positions": [
            {"member": one, "title": titles.get(one, one), "amount": number(amount)} for one, amount in owed.items()
        ],
        "payments": [{"payer": one.payer, "payee": one.payee, "amount": number(one.amount)} for one in netting(owed)],
    }
