"""What a session would cost at the place where it would go, before it is started: by that centre's page and by what such sessions used."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from .db import Tx
from .db import sessions as stored
from .db.sessions import SessionRow
from .jobs import JobRequest
from .ledger.quotes import Quote, quote
from .ledger.tariffs import tariff_of
from .load import Load
from .placement import Ranked, memory_of
from .units import Amount

KNOWN = 50  # of a person's newest sessions of that kind


def quoted(tx: Tx, request: JobRequest, place: Ranked, load: Load, available: Amount | None, now: datetime) -> Quote:
    """For `request` at that place; `available` is None where no project would pay. Raises NoPrice where its centre's page has none for what
    it asks for."""
    spec = load.centres[place.offer.centre].spec
    offered = spec.offered(place.offer.partition)
    assert offered is not None  # it is an offer of that page
    rows = [row for row in stored.ended(tx, person=request.person) if row.kind == request.kind][:KNOWN]
    return quote(
        request, tariff_of(spec, offered), now, starts_at=now + timedelta(seconds=place.told_s or 0), history=shares(rows),
        memory=memory_of(request, place.offer), available=available,
    )  # fmt: skip


def shares(rows: Sequence[SessionRow]) -> list[float]:
    """Which parts of their walltimes sessions used that ran."""
    found = []
    for row in rows:
        if row.started_at and row.ended_at and row.ended_at >= row.started_at and row.request.get("walltime_s"):
            found.append((row.ended_at - row.started_at).total_seconds() / row.request["walltime_s"])
    return found
