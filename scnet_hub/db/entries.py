"""Queries on the ledger's entries. There is no update and no delete here, on purpose."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from ..ledger.entries import Entry, Posting
from ..units import Amount
from . import Tx
from .tables import entries, postings


def add(tx: Tx, entry: Entry) -> bool:
    """Writes the entry; False (and nothing written) if its key is there already. Raises ValueError for another body."""
    known = tx.execute(select(entries.c.id, entries.c.kind, entries.c.session).where(entries.c.key == entry.key)).first()
    if known:
        if (known.kind, known.session) != (entry.kind, entry.session):
            raise ValueError(f"entry key {entry.key!r} is taken by another entry")
        return False
    values = {"key": entry.key, "at": entry.at, "kind": entry.kind, "project": entry.project, "session": entry.session, "memo": entry.memo}
    entry_id = tx.execute(entries.insert().values(values).returning(entries.c.id)).scalar_one()
    rows = [
        {"entry": entry_id, "account": posting.account, "unit": posting.amount.unit, "micros": posting.amount.micros}
        for posting in entry.postings
    ]
    tx.execute(postings.insert(), rows)
    return True


def has(tx: Tx, key: str) -> bool:
    return tx.execute(select(entries.c.id).where(entries.c.key == key)).first() is not None


def count(tx: Tx, session: str, kind: str) -> int:
    """How many entries of a kind a session has."""
    query = select(func.count()).select_from(entries).where(entries.c.session == session, entries.c.kind == kind)
    return int(tx.execute(query).scalar_one())


def balance(tx: Tx, account: str) -> int:
    """Micro-credits on an account: the sum of its postings."""
    return int(tx.execute(select(func.coalesce(func.sum(postings.c.micros), 0)).where(postings.c.account == account)).scalar_one())


def posted(tx: Tx, project: str, kind: str, prefix: str) -> int:
    """Micro-credits that entries of one kind put on a project's behalf on accounts that begin with `prefix`."""
    query = (
        select(func.coalesce(func.sum(postings.c.micros), 0))
        .join(entries, entries.c.id == postings.c.entry)
        .where(entries.c.project == project, entries.c.kind == kind, postings.c.account.startswith(prefix, autoescape=True))
    )
    return int(tx.execute(query).scalar_one())


def newest(tx: Tx, project: str, limit: int = 100) -> list[tuple[int, Entry]]:
    rows = list(tx.execute(select(entries).where(entries.c.project == project).order_by(entries.c.id.desc()).limit(limit)))
    query = select(postings).where(postings.c.entry.in_([row.id for row in rows])).order_by(postings.c.id)
    by_entry: dict[int, list[Posting]] = {}
    for row in tx.execute(query):
        by_entry.setdefault(row.entry, []).append(Posting(row.account, Amount(row.micros, row.unit)))
    return [(row.id, _entry(row, by_entry[row.id])) for row in rows]


def _entry(row: Any, posted: list[Posting]) -> Entry:
    at: datetime = row.at
    return Entry(key=row.key, at=at, kind=row.kind, project=row.project, session=row.session, memo=row.memo, postings=tuple(posted))


def trial_balance(tx: Tx) -> dict[str, int]:
    """The sum of all postings per unit: zero for each, or the books are broken."""
    query = select(postings.c.unit, func.sum(postings.c.micros)).group_by(postings.c.unit)
    return {unit: int(total) for unit, total in tx.execute(query)}
