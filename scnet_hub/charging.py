"""From the centres' usage records to the books: every copy is settled once, every session is charged once, by the copy that led.

A copy that did not lead costs the person nothing, whatever it ran; a session that no centre ran, or that its centre lost, gives its
hold back. What can't be read from a centre's accounting, or has no price on its page, is never charged (law 7): it waits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from . import lifecycle
from .db import Tx
from .db import sessions as stored
from .db.sessions import SessionRow
from .jobs import JobState, UsageRecord
from .ledger import books
from .ledger.entries import settled_key
from .ledger.pricing import bill, exact, segment_cost
from .ledger.refunds import Outage, refund
from .ledger.segments import Segment, meters, segments
from .ledger.tariffs import NoPrice, Tariff, tariff_of
from .ledger.usage import usage_of
from .load import Known
from .units import Amount, format_duration

NOTHING = Amount(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one segment of a session costs: it counts where the segment began."""

    at: datetime
    cost: Amount
    formula: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What a copy's runs cost, part by part, and why it is that much."""

    parts: tuple[Part, ...] = ()
    words: str

    @property
    def total(self) -> Amount:
        return sum((part.cost for part in self.parts), NOTHING)


def settle(tx: Tx, row: SessionRow, records: Sequence[UsageRecord], known: Known, zone: str, now: datetime) -> None:
    """Takes in the records of all runs of one copy that ended (none: there are none); harmless to repeat. One that has no price waits for
    its centre's page to be mended."""
    fresh = stored.get(tx, row.id, row.number)
    if fresh is None or fresh.job_live or fresh.used is not None:
        return
    try:
        priced = price(fresh, records, known, zone, now)
    except NoPrice as error:
        if str(error) not in [message for _, message in stored.log(tx, [row.id])[row.id]]:
            stored.say(tx, row.id, now, str(error))
        return
    started = min((one.started_at for one in records if one.started_at), default=fresh.started_at)
    ended = max((one.ended_at for one in records if one.ended_at), default=fresh.job_ended_at)
    state = lifecycle.step(fresh.job_state, "settled")
    stored.change(tx, row.id, row.number, job_state=state, used=priced.total.micros, started_at=started, job_ended_at=ended)
    if fresh.leads and not fresh.live:
        close(tx, row.id, priced, now)
    elif priced.total:
        ran = sum((one.elapsed for one in records), timedelta())
        stored.say(tx, row.id, now, f"A further copy at {row.centre} ran for {format_duration(ran)}: not charged.")


def close(tx: Tx, session_id: str, priced: Bill, now: datetime) -> None:
    """Charges a session that is over, once, and gives back the rest of its hold."""
    row = stored.get(tx, session_id)
    if row is None or row.live or row.charged is not None:
        return
    parts = [part for part in priced.parts if part.cost]
    for number, part in enumerate(parts, 1):
        last = number == len(parts)
        key = settled_key(row.id) if last else f"{settled_key(row.id)}/{number}"
        books.charge(tx, row.project, row.id, row.centre, part.cost, part.at, part.formula, key=key, last=last, now=now)
    if not parts:
        books.release(tx, row.project, row.id, now, priced.words)
    stored.change(tx, row.id, state="charged", charged=priced.total.micros, ended_at=row.job_ended_at or row.ended_at)
    stored.say(tx, row.id, now, f"Charged {priced.total}: {priced.words}." if parts else f"Not charged: {priced.words}.")


def nothing(words: str) -> Bill:
    return Bill(words=words)


def price(row: SessionRow, records: Sequence[UsageRecord], known: Known, zone: str, now: datetime) -> Bill:
    """What the records of a copy's runs cost by its centre's page, with the formula of each segment. Raises NoPrice."""
    if not records:
        return nothing("no usage record")
    if records[-1].state is JobState.LOST:
        return nothing("lost by the centre")
    offered = known.spec.offered(row.partition)
    if offered is None:
        raise NoPrice(
            f"The page of {known.spec.name} has no partition {row.partition} any more, so this session has no price.",
            hint="Its operators put the partition back until the session is charged, or write the session off.",
        )
    tariff = tariff_of(known.spec, offered)
    outages = [Outage(centre=known.spec.id, start=one.start, end=one.end, words=one.reason) for one in known.spec.maintenance]
    found: list[Segment] = []
    words: list[str] = []
    for record in records:
        usage = usage_of(record, centre=known.spec.id, birth="", session=row.id, copy=row.number, seen_at=now)
        spared = refund(usage, outages)
        inner = tariff.cuts(usage.start, usage.through) if usage.start and usage.through else ()
        paid = [one for one in segments(usage, zone, (*inner, *spared.cuts)) if not spared.covers(one)]
        found += paid
        if spared.spans or not paid:
            words.append(spared.reason.rstrip("."))
    return _bill(tariff, found, words)


def _bill(tariff: Tariff, found: Sequence[Segment], words: Sequence[str]) -> Bill:
    costs = [segment_cost(meters(one), tariff.at(one.start), one.length) for one in found]
    least = Amount(tariff.at(found[0].start).minimum, tariff.unit) if found else NOTHING
    whole = bill(costs, least)
    parts = [Part(at=one.start, cost=cost.amount, formula=cost.formula) for one, cost in zip(found, costs, strict=True)]
    if whole.top_up:
        last = parts[-1]
        formula = f"{last.formula}; minimum of a session {exact(whole.minimum)}, so {exact(whole.top_up)} more"
        parts[-1] = Part(at=last.at, cost=last.cost + whole.top_up, formula=formula)
    return Bill(parts=tuple(parts), words="; ".join(([whole.formula] if found else []) + list(words)))
