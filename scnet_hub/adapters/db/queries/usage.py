"""Queries on usage records, on the prices of their charges, and on outages that centres declared. Records are kept as
they arrived; only their state changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Row, func, select

from .. import raw_sql
from ..database import Tx
from ..tables import entries, outages, tariffs, usage
from ..tables import sessions as led

Json = dict[str, Any]
COUNTED, SUSPENSE, REPLACED, DROPPED = "counted", "suspense", "replaced", "dropped"
AT_ONCE = 400
EVER = datetime(1970, 1, 1, tzinfo=UTC)
_NEW = (
    "INSERT INTO scnet_usage (identity, revision, digest, centre, session, copy, final, over_at, record, "
    "seen_at, state, reason, decision,"
    " decided_by, decided_at, tariff) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT "
    "(identity, digest) DO NOTHING"
    " RETURNING id"
)
_KNOWN = "SELECT id, session, state, decision, seen_at FROM scnet_usage WHERE identity = ? AND digest = ?"
_FIELDS = (
    "identity", "revision", "digest", "centre", "session", "copy", "final", "over_at", "record", "seen_at", "state",
    "reason", "decision", "decided_by", "decided_at", "tariff",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow:
    """A usage record as it arrived: `record` is its document (`domain.usage.serialisation`), `seen_at` is when it last
    arrived, by the hub's clock. Its `state` is counted, suspense (with a `reason`), replaced (by a later record of its
    centre) or dropped (by an operator). `id` is 0 before it is stored. `tariff` is the digest of the prices of its
    charge."""

    id: int = 0
    identity: str
    revision: int = 0
    digest: str
    centre: str
    session: str = ""
    copy: int = 0
    final: bool = True
    over_at: datetime | None = None
    record: Json = field(default_factory=dict)
    seen_at: datetime
    state: str = COUNTED
    reason: str = ""
    decision: str = ""
    decided_by: str = ""
    decided_at: datetime | None = None
    tariff: str = ""


def insert(tx: Tx, row: UsageRow) -> bool:
    """Stores the record; returns False if the same record is there already."""
    return raw_sql.run(tx, _NEW, *[getattr(row, name) for name in _FIELDS]).fetchone() is not None


class Known(NamedTuple):
    """The state of a record that arrived before."""

    id: int
    session: str
    state: str
    decision: str
    seen_at: datetime


def known(tx: Tx, identity: str, digest: str) -> Known | None:
    """Returns the state of a record that arrived before. Most records have arrived before: each is looked up here."""
    row = raw_sql.run(tx, _KNOWN, identity, digest).fetchone()
    return Known(row[0], row[1], row[2], row[3], raw_sql.moment(row[4]) or EVER) if row else None


def get(tx: Tx, number: int) -> UsageRow | None:
    return _one(tx.execute(select(usage).where(usage.c.id == number)).first())


def of_session(tx: Tx, session: str) -> list[UsageRow]:
    """Returns all records that ever arrived for the session, oldest first."""
    return _all(tx, select(usage).where(usage.c.session == session).order_by(usage.c.id))


def exit_codes(tx: Tx, sessions: Iterable[str]) -> dict[str, str]:
    """Returns by session how the program of its leading copy ended, from its newest final record: "status:signal"."""
    query = select(usage.c.session, usage.c.record).join_from(usage, led, led.c.id == usage.c.session)
    wanted = query.where(
        usage.c.session.in_([*sessions]), usage.c.copy == led.c.lead, usage.c.final, usage.c.state == COUNTED
    )
    return {row.session: str(row.record.get("exit_code") or "") for row in tx.execute(wanted.order_by(usage.c.id))}


def of_identity(tx: Tx, identity: str) -> list[UsageRow]:
    return _all(tx, select(usage).where(usage.c.identity == identity).order_by(usage.c.id))


def suspended(tx: Tx, centre: str = "", undecided: bool = True) -> list[UsageRow]:
    """Returns the records in suspense, of one centre or of all; without `undecided` also records that an operator has
    decided."""
    wanted = (usage.c.state == SUSPENSE) if undecided else ((usage.c.state == SUSPENSE) | (usage.c.decision != ""))
    query = select(usage).where(wanted).order_by(usage.c.id)
    return _all(tx, query.where(usage.c.centre == centre) if centre else query)


def waiting(tx: Tx, centre: str) -> set[str]:
    """Returns the sessions that have a record of that centre in suspense."""
    query = select(usage.c.session).where(usage.c.centre == centre, usage.c.state == SUSPENSE, usage.c.session != "")
    return set(tx.execute(query.distinct()).scalars())


def decide(tx: Tx, number: int, decision: str, by: str, at: datetime) -> bool:
    """Writes an operator's decision; returns False if there is no such record, or the record is decided."""
    undecided = usage.update().where(usage.c.id == number, usage.c.decision == "")
    return tx.execute(undecided.values(decision=decision, decided_by=by, decided_at=at)).rowcount == 1


def ended_between(tx: Tx, centre: str, start: datetime, end: datetime) -> list[UsageRow]:
    """Returns final records of runs that ended in [start, end), in any state."""
    there = (usage.c.centre == centre, usage.c.final, usage.c.over_at >= start, usage.c.over_at < end)
    return _all(tx, select(usage).where(*there).order_by(usage.c.over_at, usage.c.id))


def going_on(tx: Tx, centre: str) -> list[UsageRow]:
    """Returns interim records that count: of runs without a final record yet."""
    return _all(
        tx, select(usage).where(usage.c.centre == centre, ~usage.c.final, usage.c.state == COUNTED).order_by(usage.c.id)
    )


def update(tx: Tx, number: int, **values: Any) -> None:
    tx.execute(usage.update().where(usage.c.id == number).values(**values))


def began(tx: Tx) -> datetime:
    """Returns a day before the first entry of the books was written: before the federation's first day by any clock.
    1970 if there is no entry."""
    written = func.coalesce(entries.c.recorded_at, entries.c.at)
    first = tx.execute(
        select(func.min(written)).where(entries.c.id <= select(func.min(entries.c.id) + 100).scalar_subquery())
    ).scalar()
    return first - timedelta(days=1) if first else EVER


# ---- prices


def keep_tariff(tx: Tx, digest: str, centre: str, partition: str, document: Json, now: datetime) -> None:
    if tariff(tx, digest) is None:
        values = {"digest": digest, "centre": centre, "partition": partition, "document": document, "seen_at": now}
        tx.execute(tariffs.insert().values(**values))


def tariff(tx: Tx, digest: str) -> Json | None:
    return tx.execute(select(tariffs.c.document).where(tariffs.c.digest == digest)).scalar()


def tariffs_of(tx: Tx, centre: str) -> list[tuple[str, Json, datetime]]:
    """Returns the prices that were charged there, by partition, each with the time since when, newest first."""
    query = select(tariffs.c.partition, tariffs.c.document, tariffs.c.seen_at).where(tariffs.c.centre == centre)
    return [
        (partition, document, at) for partition, document, at in tx.execute(query.order_by(tariffs.c.seen_at.desc()))
    ]


# ---- outages


def outages_of(tx: Tx, centre: str) -> list[tuple[datetime, datetime | None, str]]:
    """Returns (start, end, words) of each outage as the centre last declared it; an outage that the centre no longer
    lists stays."""
    query = select(outages.c.start, outages.c.end, outages.c.words).where(outages.c.centre == centre)
    return [(start, end, words) for start, end, words in tx.execute(query.order_by(outages.c.start))]


def keep_outage(tx: Tx, centre: str, start: datetime, end: datetime | None, words: str) -> bool:
    """Stores an outage; returns False if it is stored unchanged."""
    there = (outages.c.centre == centre, outages.c.start == start)
    before = tx.execute(select(outages).where(*there)).first()
    if before and (before.end, before.words) == (end, words):
        return False
    if before:
        tx.execute(outages.update().where(*there).values(end=end, words=words))
    else:
        tx.execute(outages.insert().values(centre=centre, start=start, end=end, words=words))
    return True


def since(tx: Tx, centre: str, start: datetime) -> list[UsageRow]:
    """Returns the counted records there of runs that ended after `start` or have not ended."""
    late = (usage.c.over_at > start) | ~usage.c.final
    return _all(tx, select(usage).where(usage.c.centre == centre, usage.c.state == COUNTED, late).order_by(usage.c.id))


def _all(tx: Tx, query: Any) -> list[UsageRow]:
    return [UsageRow(**row._mapping) for row in tx.execute(query)]


def _one(row: Row[Any] | None) -> UsageRow | None:
    return UsageRow(**row._mapping) if row else None


def rows_of(tx: Tx, ids: Sequence[int]) -> list[UsageRow]:
    found = []
    for first in range(0, len(ids), AT_ONCE):
        found += _all(tx, select(usage).where(usage.c.id.in_(ids[first : first + AT_ONCE])))
    return found
