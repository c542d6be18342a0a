"""Queries on the ledger's entries. There is no update and no delete here, on purpose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select

from ....domain.ledger.entries import Entry, Posting
from ....errors import KeyTaken
from ....units import Amount
from .. import raw_sql
from ..database import Tx
from ..tables import CHARGES, chain, entries, postings, sessions

PAGE = 5000  # entries in one read
LATE = 10_000  # ids below the newest that another writer may still be about to write
_ENTRY = (
    "INSERT INTO scnet_entries (key, at, kind, project, session, memo, actor, reverses, recorded_at) VALUES (?, "
    "?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (key) DO NOTHING RETURNING id"
)
_POSTINGS = "INSERT INTO scnet_postings (entry, account, unit, micros) VALUES "


def add(tx: Tx, entry: Entry) -> bool:
    """Writes the entry. Returns False (and writes nothing) if its key is there already with the same body. Raises
    KeyTaken for another body."""
    if write(tx, entry):
        return True
    known = get(tx, entry.key)
    if known is None or known.says() != entry.says():
        raise KeyTaken(
            f"The key {entry.key!r} was used for another entry.", hint="Send the same entry again, or use another key."
        )
    return False


def write(tx: Tx, entry: Entry) -> bool:
    """Writes the entry. Returns False (and writes nothing) if its key is there already, whatever its body."""
    values = (
        entry.key, entry.at, entry.kind, entry.project, entry.session, entry.memo, entry.actor, entry.reverses,
        entry.recorded_at or entry.at,
    )  # fmt: skip
    number = raw_sql.run(tx, _ENTRY, *values).fetchone()
    if number is None:
        return False
    rows = [(number[0], posting.account, posting.amount.unit, posting.amount.micros) for posting in entry.postings]
    raw_sql.run(tx, _POSTINGS + raw_sql.marks(rows), *[value for row in rows for value in row])
    return True


def get(tx: Tx, key: str) -> Entry | None:
    rows = list(tx.execute(select(entries).where(entries.c.key == key)))
    return next((entry for _, entry in _whole(tx, rows)), None)


def balance(tx: Tx, account: str) -> int:
    """Returns the micro-units on an account: the sum of its postings."""
    return int(
        tx.execute(
            select(func.coalesce(func.sum(postings.c.micros), 0)).where(postings.c.account == account)
        ).scalar_one()
    )


def newest(tx: Tx, project: str, limit: int = 100, after: int = 0, *, person: str = "") -> list[tuple[int, Entry]]:
    """Returns a project's entries with their numbers, newest first; only entries older than the entry `after`, unless
    `after` is 0. With `person` only entries of that person's sessions, and of no session."""
    query = select(entries).where(entries.c.project == project).order_by(entries.c.id.desc()).limit(limit)
    if person:
        theirs = select(sessions.c.id).where(sessions.c.person == person)
        query = query.where(or_(entries.c.session == "", entries.c.session.in_(theirs)))
    return _whole(tx, list(tx.execute(query.where(entries.c.id < after) if after else query)))


def charges_of(tx: Tx, session: str, *, reversed_too: bool = False) -> list[Entry]:
    """Returns a session's charges that were not reversed, oldest first; with `reversed_too` all charges."""
    query = select(entries).where(entries.c.session == session, CHARGES).order_by(entries.c.id)
    found = [entry for _, entry in _whole(tx, list(tx.execute(query)))]
    back = set() if reversed_too else {one.reverses for one in found}
    return [one for one in found if one.kind == "charge" and one.key not in back]


def every(tx: Tx) -> Iterator[tuple[int, Entry, int | None, str]]:
    """Yields all entries by id, each with its place in the chain and its hash there (None, "": not sealed yet); reads a
    page at a time."""
    last = 0
    query = (
        select(entries, chain.c.seq, chain.c.hash)
        .outerjoin(chain, chain.c.entry == entries.c.id)
        .order_by(entries.c.id)
        .limit(PAGE)
    )
    while rows := list(tx.execute(query.where(entries.c.id > last))):
        for row, (number, entry) in zip(rows, _whole(tx, rows), strict=True):
            yield number, entry, row.seq, row.hash or ""
        last = rows[-1].id


def sealed(tx: Tx) -> tuple[int, str]:
    """Returns the length of the chain and the hash of its end; (0, "") if there is no chain."""
    row = tx.execute(select(chain.c.seq, chain.c.hash).order_by(chain.c.seq.desc()).limit(1)).first()
    return (row.seq, row.hash) if row else (0, "")


def unsealed(tx: Tx, limit: int) -> list[tuple[int, Entry]]:
    """Returns the oldest entries that are not in the chain, by id."""
    newest = int(tx.execute(select(func.coalesce(func.max(chain.c.entry), 0))).scalar_one())
    query = select(entries).outerjoin(chain, chain.c.entry == entries.c.id)
    fresh = query.where(chain.c.seq.is_(None), entries.c.id > newest - LATE).order_by(entries.c.id).limit(limit)
    return _whole(tx, list(tx.execute(fresh)))


def seal(tx: Tx, rows: Sequence[tuple[int, int, str]]) -> None:
    """Adds (place, entry's id, hash) to the chain."""
    tx.execute(chain.insert(), [{"seq": seq, "entry": entry, "hash": link} for seq, entry, link in rows])


def trial_balance(tx: Tx) -> dict[str, int]:
    """Returns the sum of all postings per unit: each is zero, or the books are broken."""
    query = select(postings.c.unit, func.sum(postings.c.micros)).group_by(postings.c.unit)
    return {unit: int(total) for unit, total in tx.execute(query)}


def _whole(tx: Tx, rows: Sequence[Any]) -> list[tuple[int, Entry]]:
    """Returns the entries with their postings, in the same order."""
    ids = [row.id for row in rows]
    if not ids:
        return []
    by_entry: dict[int, list[Posting]] = {}
    within = postings.c.entry.in_(ids) if len(ids) < 500 else postings.c.entry.between(min(ids), max(ids))
    for row in tx.execute(select(postings).where(within).order_by(postings.c.id)):
        by_entry.setdefault(row.entry, []).append(Posting(row.account, Amount(row.micros, row.unit)))
    return [(row.id, _entry(row, by_entry[row.id])) for row in rows]


def _entry(row: Any, posted: list[Posting]) -> Entry:
    at: datetime = row.at
    return Entry(
        key=row.key, at=at, kind=row.kind, project=row.project, session=row.session, memo=row.memo, actor=row.actor,
        reverses=row.reverses, postings=tuple(posted), recorded_at=row.recorded_at,
    )  # fmt: skip
