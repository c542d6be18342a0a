"""Takes new entries into the hash chain."""

from __future__ import annotations

from ...adapters.db.database import Tx
from ...adapters.db.queries import entries as entry_rows
from ...domain.ledger import entries

SEALED = 1000  # entries that one step of sealing takes into the chain


def seal(tx: Tx, limit: int = SEALED) -> int:
    """Takes entries into the chain that are not in it yet. Returns their number. Runs apart from the step that writes
    them, so that writers do not wait for each other."""
    seq, last = entry_rows.sealed(tx)
    rows = []
    for number, entry in entry_rows.unsealed(tx, limit):
        seq, last = seq + 1, entries.link(last, entry)
        rows.append((seq, number, last))
    if rows:
        entry_rows.seal(tx, rows)
    return len(rows)
