"""Queries on links between people and accounts at centres. A link is ended, never changed: its history stays."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select, update

from ..database import Tx
from ..tables import accounts, proofs


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRow:
    """One link. `how` is "list" (made by the centre's admins) or "proof" (the person signed in there)."""

    id: int
    person: str
    centre: str
    account: str
    how: str
    linked_by: str
    linked_at: datetime
    ended_by: str
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofRow:
    """A proof under way: `code` is the hash of the word that the person must write at the centre."""

    person: str
    centre: str
    account: str
    code: str
    expires_at: datetime


def links(tx: Tx, *, person: str = "", centre: str = "", account: str = "", ended: bool = False) -> list[AccountRow]:
    """Returns the links that hold now, oldest first; with `ended` the whole history."""
    query = select(accounts).order_by(accounts.c.id)
    for column, value in ((accounts.c.person, person), (accounts.c.centre, centre), (accounts.c.account, account)):
        query = query.where(column == value) if value else query
    if not ended:
        query = query.where(accounts.c.ended_at.is_(None))
    return [AccountRow(**row._mapping) for row in tx.execute(query)]


def link(tx: Tx, person: str, centre: str, account: str, how: str, by: str, at: datetime) -> None:
    values = {"person": person, "centre": centre, "account": account, "how": how}
    tx.execute(accounts.insert().values(**values, linked_by=by, linked_at=at, ended_by="", ended_at=None))


def end(tx: Tx, row: AccountRow, by: str, at: datetime) -> None:
    tx.execute(update(accounts).where(accounts.c.id == row.id).values(ended_by=by, ended_at=at))


def ask(tx: Tx, proof: ProofRow) -> None:
    """Stores a proof under way; an earlier proof for that centre is deleted."""
    forget(tx, proof.person, proof.centre)
    values = {"person": proof.person, "centre": proof.centre, "account": proof.account}
    tx.execute(proofs.insert().values(**values, code=proof.code, expires_at=proof.expires_at))


def asked(tx: Tx, person: str, centre: str) -> ProofRow | None:
    row = tx.execute(select(proofs).where(proofs.c.person == person, proofs.c.centre == centre)).first()
    return ProofRow(**row._mapping) if row else None


def forget(tx: Tx, person: str, centre: str) -> None:
    tx.execute(delete(proofs).where(proofs.c.person == person, proofs.c.centre == centre))
