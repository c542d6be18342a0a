"""Compares a session's charges with its bill, posts what is missing, and takes back what is stale."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from ...adapters.db.database import Tx
from ...adapters.db.queries import entries as entry_rows
from ...domain.ledger.bills import Bill, Part, earned
from ...domain.ledger.entries import Entry, Posting, settled_key
from ...domain.sessions.records import Copy, SessionCopy
from . import books


def compare(tx: Tx, copy: Copy, priced: Bill) -> tuple[list[Entry], list[Part]]:
    """Returns the live charges of a session that are not in its bill, and the parts of the bill that are not
    charged."""
    parts = [part for part in priced.parts if part.cost]
    wanted = Counter(_says(part.at, earned(copy.centre, part.cost, priced.fee)) for part in parts)
    stale = []
    for entry in entry_rows.charges_of(tx, copy.session):
        said = _says(entry.at, [one for one in entry.postings if not one.account.startswith(("project:", "held:"))])
        if wanted[said]:
            wanted[said] -= 1
        else:
            stale.append(entry)
    missing = []
    for part in reversed(parts):
        said = _says(part.at, earned(copy.centre, part.cost, priced.fee))
        if wanted[said]:
            wanted[said] -= 1
            missing.append(part)
    return stale, missing[::-1]


def _says(at: datetime, posted: Sequence[Posting]) -> tuple[object, ...]:
    return at, tuple(sorted((one.account, one.amount.micros, one.amount.unit) for one in posted))


def take_back(tx: Tx, stale: Sequence[Entry], now: datetime, words: str) -> Counter[str]:
    """Takes charges back. Returns the amount that each lot received."""
    back: Counter[str] = Counter()
    for entry in stale:
        if books.reverse(tx, entry.key, now, words):
            back.update(_spent(entry))
    return back


def _spent(entry: Entry) -> dict[str, int]:
    """Returns the amount that a charge took from each lot."""
    return {lot: numbers.get("spent", 0) for lot, numbers in books.effects(entry).items()}


def post(
    tx: Tx,
    row: SessionCopy,
    parts: Sequence[Part],
    fee: int,
    now: datetime,
    *,
    last: bool,
    back: Mapping[str, int] | None = None,
) -> None:
    """Charges these parts; with the `last` of them the rest of the hold is released. The amounts just taken `back` pay
    first, so unchanged charges stay with the same lots, even if they have ended since."""
    session, centre = row.session, row.copy.centre
    whole = settled_key(session.id)
    left = Counter(back or {})
    before = entry_rows.charges_of(tx, session.id, reversed_too=True)
    plain = last and not before and entry_rows.get(tx, whole) is None
    body = "\n".join(f"{part.at.isoformat()} {part.cost.micros}" for part in parts)
    again = f"{whole}/{len(before)}-{hashlib.sha256(body.encode()).hexdigest()[:12]}"
    for number, part in enumerate(parts, 1):
        ends = number == len(parts)
        key = (whole if ends else f"{whole}/{number}") if plain else f"{again}/{number}"
        gets = earned(centre, part.cost, fee)
        books.charge(
            tx, session.project, session.id, centre, part.cost, part.at, part.formula, key=key, earned=gets,
            last=last and ends, now=now, again=+left,
        )  # fmt: skip
        if left and (charged := entry_rows.get(tx, key)):
            left.subtract(_spent(charged))
