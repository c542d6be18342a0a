"""Reads what the broker wrote, directly from its database file: sessions, their copies, the ledger's entries.

Plain SQL on a read-only connection, so that nothing of the product's own reading is trusted.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from .evidence import Entry, Session


def _rows(database: Path, query: str) -> list[sqlite3.Row]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as connection:
        connection.row_factory = sqlite3.Row
        return connection.execute(query).fetchall()


def _at(text: str | None) -> float | None:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() if text else None


def sessions(database: Path) -> list[Session]:
    """Each as its leading copy has it."""
    rows = _rows(
        database,
        "SELECT s.*, c.centre, c.node, c.reason, c.unknown_why FROM scnet_sessions s JOIN scnet_copies c "
        "ON c.session = s.id AND c.number = s.lead",
    )
    replaced = {row["continues"] for row in rows if not row["in_line"]}
    return [
        Session(
            id=row["id"], kind=row["kind"], name=row["name"], centre=row["centre"], node=row["node"],
            state=row["state"], live=bool(row["live"]), created=_at(row["created_at"]) or 0.0,
            ready=_at(row["ready_at"]), ended=_at(row["ended_at"]), reason=row["reason"] or row["unknown_why"],
            end_reason=row["end_reason"], replaced=row["id"] in replaced,
        )
        for row in rows
    ]  # fmt: skip


def jobs_known(database: Path) -> set[tuple[str, str, str]]:
    """(centre, job's name, its id or "" while the answer to its submission is on its way) of every copy that is not
    over."""
    return {
        (row["centre"], f"scnet-{row['session']}" + (f"-{row['number']}" if row["number"] > 1 else ""), row["job_id"])
        for row in _rows(database, "SELECT session, number, centre, job_id FROM scnet_copies WHERE live")
    }


def entries(database: Path) -> list[Entry]:
    """Without charges that were taken back; the parts of one bill (segments, runs) are one."""
    postings: dict[int, list[sqlite3.Row]] = defaultdict(list)
    for row in _rows(database, "SELECT entry, account, micros FROM scnet_postings"):
        postings[row["entry"]].append(row)
    found = []
    rows = _rows(database, "SELECT id, key, kind, session, reverses FROM scnet_entries WHERE session != '' ORDER BY id")
    taken_back = {row["reverses"] for row in rows if row["reverses"]}
    for row in rows:
        if row["reverses"] or row["key"] in taken_back:
            continue
        paid = [one for one in postings[row["id"]] if one["account"].startswith("centre:")]
        held = sum(one["micros"] for one in postings[row["id"]] if one["account"].startswith("held:"))
        centre = paid[0]["account"].removeprefix("centre:") if paid else ""
        found.append(
            Entry(
                session=row["session"],
                kind=row["kind"],
                centre=centre,
                paid=sum(one["micros"] for one in paid),
                held=held,
            )
        )
    return [*(one for one in found if one.kind != "charge"), *_bills(one for one in found if one.kind == "charge")]


def _bills(parts: Iterable[Entry]) -> Iterator[Entry]:
    by_place: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for part in parts:
        by_place[part.session, part.centre].append(part)
    for those in by_place.values():
        yield replace(those[0], paid=sum(one.paid for one in those), held=sum(one.held for one in those))
