"""From the centres' usage records to the books: every copy is settled once, every session is charged once, by the copy that led.

A copy that did not lead costs the person nothing, whatever it ran; a session that no centre ran, or that its centre lost, gives its
hold back. What can't be read from a centre's accounting is never charged (law 7).
"""

from __future__ import annotations

from datetime import datetime

from . import lifecycle
from .db import Tx
from .db import sessions as stored
from .db.sessions import SessionRow
from .jobs import JobState, UsageRecord
from .ledger import books, pricing
from .load import Known
from .units import Amount, format_duration


def settle(tx: Tx, row: SessionRow, record: UsageRecord | None, known: Known, now: datetime) -> None:
    """Takes in the record of one copy that ended (None: there is none); harmless to repeat."""
    fresh = stored.get(tx, row.id, row.number)
    if fresh is None or fresh.job_live or fresh.used is not None:
        return
    amount, memo = price(fresh, record, known)
    times = {"started_at": record.started_at or fresh.started_at, "job_ended_at": record.ended_at or fresh.job_ended_at} if record else {}
    stored.change(tx, row.id, row.number, job_state=lifecycle.step(fresh.job_state, "settled"), used=amount.micros, **times)
    if fresh.leads and not fresh.live:
        ran = record is not None and record.state is not JobState.LOST
        close(tx, row.id, amount if ran else Amount(0), memo, now)
    elif amount and record:
        stored.say(tx, row.id, now, f"A further copy at {row.centre} ran for {format_duration(record.elapsed)}: not charged.")


def close(tx: Tx, session_id: str, cost: Amount, memo: str, now: datetime) -> None:
    """Charges a session that is over, once, and gives back the rest of its hold."""
    row = stored.get(tx, session_id)
    if row is None or row.live or row.charged is not None:
        return
    books.charge(tx, row.project, row.id, row.centre, cost, now, memo)
    stored.change(tx, row.id, state="charged", charged=cost.micros, ended_at=row.job_ended_at or row.ended_at)
    stored.say(tx, row.id, now, f"Charged {cost}: {memo}." if cost else f"Not charged: {memo}.")


def price(row: SessionRow, record: UsageRecord | None, known: Known) -> tuple[Amount, str]:
    """What a usage record costs, and the formula in words."""
    if record is None:
        return Amount(0), "no usage record"
    if record.state is JobState.LOST:
        return Amount(0), "lost by the centre"
    offered = known.spec.offered(row.partition)
    rates = {"core_hour": offered.tariff.core_hour, "gpu_hour": offered.gpu_price} if offered else {"core_hour": 0.0, "gpu_hour": 0.0}
    hourly = pricing.per_hour(record.cores, record.gpus, **rates)
    return pricing.cost(hourly, record.elapsed), pricing.formula(record.cores, record.gpus, record.elapsed, **rates)
