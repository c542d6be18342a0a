"""Queries on manifests: the runs that each centre's accounting listed for each day, and the records that were missing
here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import delete, func, select, update

from ..database import Tx
from ..tables import manifests

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestRow:
    """One day of one centre, in the federation's zone. `missing` are sentences; none: the day is complete. `excuse` is
    why its month may be closed all the same. `document` is that of `domain.usage.manifests.Manifest`
    (`accounting_pull.manifest_document`)."""

    centre: str
    day: date
    document: Json
    watermark: datetime
    issued_at: datetime
    missing: Sequence[str] = field(default_factory=tuple)
    excuse: str = ""
    excused_by: str = ""


def upsert(tx: Tx, row: ManifestRow) -> None:
    """Stores a manifest. The later manifest replaces the earlier; an excuse for the day stays."""
    before = next(iter(list_for(tx, row.centre, row.day, row.day)), None)
    tx.execute(delete(manifests).where(manifests.c.centre == row.centre, manifests.c.day == row.day.isoformat()))
    tx.execute(
        manifests.insert().values(
            centre=row.centre, day=row.day.isoformat(), document=row.document, watermark=row.watermark,
            issued_at=row.issued_at, missing=list(row.missing), excuse=row.excuse or (before.excuse if before else ""),
            excused_by=row.excused_by or (before.excused_by if before else ""),
        )
    )  # fmt: skip


def list_for(tx: Tx, centre: str = "", first: date = date.min, last: date = date.max) -> list[ManifestRow]:
    """Returns the manifests of the days from `first` to `last`, of one centre or of all."""
    query = select(manifests).where(manifests.c.day >= first.isoformat(), manifests.c.day <= last.isoformat())
    query = query.where(manifests.c.centre == centre) if centre else query
    return [
        ManifestRow(**{**row._mapping, "day": date.fromisoformat(row.day), "missing": tuple(row.missing)})
        for row in tx.execute(query.order_by(manifests.c.day, manifests.c.centre))
    ]


def newest(tx: Tx) -> dict[str, date]:
    """Returns the last day with a manifest, by centre."""
    query = select(manifests.c.centre, func.max(manifests.c.day)).group_by(manifests.c.centre)
    return {centre: date.fromisoformat(day) for centre, day in tx.execute(query)}


def excuse(tx: Tx, centre: str, first: date, last: date, words: str, by: str) -> int:
    """Records why those days count as complete although something is missing; returns how many days."""
    wanted = (manifests.c.centre == centre, manifests.c.day >= first.isoformat(), manifests.c.day <= last.isoformat())
    return int(tx.execute(update(manifests).where(*wanted).values(excuse=words, excused_by=by)).rowcount)
