"""What the broker wrote, read from its database file beside it: sessions, their copies, the ledger's entries.

Plain SQL on a read-only connection, so that nothing of the product's own reading is trusted.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from .evidence import Entry, Session


def _rows(database: Path, query: str) -> list[sqlite3.Row]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as connection:
        connection.row_factory = sqlite3.Row
        return connection.execute(query).fetchall()


def _has(database: Path, table: str) -> bool:
    return bool(_rows(database, f"SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '{table}'"))


def _at(text: str | None) -> float | None:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() if text else None


def sessions(database: Path) -> list[Session]:
    return [
        Session(
            id=row["id"], kind=row["kind"], name=row["name"], centre=row["centre"], node=row["node"], state=row["state"],
            live=bool(row["live"]), created=_at(row["created_at"]) or 0.0, ready=_at(row["ready_at"]), ended=_at(row["ended_at"]),
            reason=row["reason"] or row["unknown_why"], end_reason=row["end_reason"],
        )
        for row in _joined(database)
    ]  # fmt: skip


def _joined(database: Path) -> list[sqlite3.Row]:
    """Each session with the columns of its leading copy, where copies are kept apart."""
    return _rows(database, _joined_query(database))


def _joined_query(database: Path) -> str:
    if not _has(database, "scnet_copies"):
        return "SELECT * FROM scnet_sessions"
    ours = {row["name"] for row in _rows(database, "PRAGMA table_info(scnet_sessions)")}
    theirs = [row["name"] for row in _rows(database, "PRAGMA table_info(scnet_copies)") if row["name"] not in ours]
    more = "".join(f", c.{name}" for name in theirs)
    return f"SELECT s.*{more} FROM scnet_sessions s LEFT JOIN scnet_copies c ON c.session = s.id AND c.number = s.leader"


def jobs_known(database: Path) -> set[tuple[str, str]]:
    """(centre, job's name) of what the broker has as live, or is still ending: its sessions' jobs and their copies'."""
    if not _has(database, "scnet_copies"):
        live = _rows(database, "SELECT id, centre FROM scnet_sessions WHERE live")
        return {(row["centre"], f"scnet-{row['id']}") for row in live}
    copies = _rows(database, "SELECT session, number, centre FROM scnet_copies WHERE ended_at IS NULL")
    return {(row["centre"], f"scnet-{row['session']}" + (f"-{row['number']}" if row["number"] > 1 else "")) for row in copies}


def entries(database: Path) -> list[Entry]:
    postings: dict[int, list[sqlite3.Row]] = defaultdict(list)
    for row in _rows(database, "SELECT entry, account, micros FROM scnet_postings"):
        postings[row["entry"]].append(row)
    found = []
    for row in _rows(database, "SELECT id, kind, session FROM scnet_entries WHERE session != '' ORDER BY id"):
        paid = [one for one in postings[row["id"]] if one["account"].startswith("centre:")]
        held = sum(one["micros"] for one in postings[row["id"]] if one["account"].startswith("held:"))
        centre = paid[0]["account"].removeprefix("centre:") if paid else ""
        found.append(Entry(session=row["session"], kind=row["kind"], centre=centre, paid=sum(one["micros"] for one in paid), held=held))
    return found
