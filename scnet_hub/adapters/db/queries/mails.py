"""Queries on mails to people: an outbox in which each key occurs once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from ..database import Tx
from ..tables import mails


@dataclass(frozen=True, slots=True, kw_only=True)
class MailRow:
    """A mail to a person ("": to the operators). `next_at` is the time of the next try; None: the mail is sent, or
    given up for `trouble`."""

    key: str
    person: str
    subject: str
    body: str
    written_at: datetime
    sent_at: datetime | None
    next_at: datetime | None
    tries: int
    trouble: str


def insert(tx: Tx, row: MailRow) -> bool:
    """Stores a mail and returns whether the mail is new: a mail with the same key stays as it was written."""
    insert = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    values = {name: getattr(row, name) for name in MailRow.__slots__}
    new = insert(mails).values(values).on_conflict_do_nothing(index_elements=["key"]).returning(mails.c.key)
    return tx.execute(new).first() is not None


def update(tx: Tx, key: str, **values: Any) -> None:
    tx.execute(mails.update().where(mails.c.key == key).values(**values))


def due(tx: Tx, now: datetime, limit: int) -> list[MailRow]:
    """Returns the mails whose next try is due, longest due first."""
    query = select(mails).where(mails.c.next_at <= now).order_by(mails.c.next_at, mails.c.key).limit(limit)
    return [MailRow(**row._mapping) for row in tx.execute(query)]


def newest(tx: Tx, *, person: str | None = None, limit: int = 100) -> list[MailRow]:
    query = select(mails).order_by(mails.c.written_at.desc(), mails.c.key).limit(limit)
    return [
        MailRow(**row._mapping)
        for row in tx.execute(query if person is None else query.where(mails.c.person == person))
    ]


def forget(tx: Tx, before: datetime) -> None:
    """Deletes mails that were written before, sent or not."""
    tx.execute(delete(mails).where(mails.c.written_at < before))
