"""Keeps the ledger equal to the stored usage records: a session is charged the cost of its records, by the prices of
its first charge.

`reckon` does this, and may be repeated: after the first record, a correction, an outage that was declared later, an
operator's decision. A copy that did not lead costs the person nothing, whatever it ran; a session that no centre ran
releases its hold. Records in suspense or without a price are never charged (law 7): they wait.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ...adapters.db.database import Tx
from ...adapters.db.queries import entries as stored_entries
from ...adapters.db.queries import lots as stored_lots
from ...adapters.db.queries import sessions as stored
from ...adapters.db.queries import usage as records
from ...adapters.db.queries.usage import UsageRow
from ...display.session_states import CHARGED, ENDED
from ...domain.centres.state import Known
from ...domain.ledger.bills import Bill, nothing, price
from ...domain.ledger.lots import OVERDRAFT
from ...domain.pricing.tariffs import NoPrice, tariff_of
from ...domain.sessions import lifecycle
from ...domain.sessions.records import SessionRow
from ...domain.standard.federation import FederationSpec
from ...domain.usage import serialisation
from ...domain.usage.refunds import Outage
from ...domain.usage.runs import Usage
from ...domain.usage.serialisation import Terms
from ...domain.usage.suspense import Copy
from ...domain.usage.verdicts import COUNTED, DROPPED, SUSPENSE, Arrived, Verdict, weigh
from ...units import CREDIT, Amount, format_duration
from . import books
from .bill_entries import compare, post, take_back

CORRECTED = "its centre's accounting has corrected its usage record"
PERCENT = 10_000  # millionths


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """The current pages of the centres and of the federation, for copies that were never charged before."""

    centres: Mapping[str, Known]
    federation: FederationSpec

    def terms(self, row: SessionRow) -> Terms:
        """Returns the terms by which a copy would be charged now. Raises NoPrice."""
        known = self.centres.get(row.centre)
        offered = known.spec.offered(row.partition) if known else None
        if known is None or offered is None:
            raise NoPrice(
                f"The page of {known.spec.name if known else row.centre} no longer has the partition {row.partition}, "
                "so this session has no price.",
                hint="Ask its operators to put the partition back until the session is charged, or to write it off.",
            )
        fee = round(self.federation.settlement.fee_percent * PERCENT)
        return Terms(tariff=tariff_of(known.spec, offered), fee=fee, zone=self.federation.time_zone)


# ---- bringing the ledger in line with the records


def reckon(tx: Tx, session_id: str, pages: Pages, now: datetime, cause: str = CORRECTED) -> None:
    """Charges an ended session by all records that ever arrived for it, or corrects its charge; safe to repeat. `cause`
    says in words why a charge may differ from the one before."""
    rows = stored.copies_of(tx, session_id)
    arrived = records.of_session(tx, session_id)
    if not rows or not arrived:
        return
    verdicts = weighed(tx, rows, arrived, now)
    bills = {row.number: _settle_copy(tx, row, arrived, verdicts, pages, now) for row in rows if not row.job_live}
    lead = stored.get(tx, session_id)
    if lead is None or lead.live or lead.job_live:
        return
    if priced := bills.get(lead.number):
        close(tx, session_id, priced, now, cause)
    elif lead.used is None and lead.charged is not None:
        _take_all_back(tx, lead, now)


def weighed(tx: Tx, rows: Sequence[SessionRow], arrived: Sequence[UsageRow], now: datetime) -> dict[int, Verdict]:
    """Judges a session's records now, and stores the verdicts that changed."""
    copies = {row.number: copy_of(row) for row in rows}
    verdicts = weigh([_arrived(one) for one in arrived], copies, records.began(tx))
    for one in arrived:
        verdict = verdicts[one.id]
        if (one.state, one.reason) == (verdict.state, verdict.reason):
            continue
        records.change(tx, one.id, state=verdict.state, reason=verdict.reason)
        if verdict.blocks:
            stored.say(
                tx, one.session, now, f"Not charged until an operator has reviewed its usage record: {verdict.reason}"
            )
    return verdicts


def copy_of(row: SessionRow) -> Copy:
    return Copy(
        session=row.id,
        number=row.number,
        centre=row.centre,
        asked_at=row.asked_at,
        job_id=row.job_id,
        gpus=int(row.request.get("gpus", 0)),
    )


def _arrived(row: UsageRow) -> Arrived:
    return Arrived(
        id=row.id, usage=serialisation.usage_from(row.record), seen_at=row.seen_at, doubt=row.record.get("doubt", ""),
        late=row.record.get("late", False), decision=row.decision.split(":")[0],
    )  # fmt: skip


def _settle_copy(
    tx: Tx, row: SessionRow, arrived: Sequence[UsageRow], verdicts: Mapping[int, Verdict], pages: Pages, now: datetime
) -> Bill | None:
    """Returns the cost of one copy's records; None: not known yet, or there are no records."""
    mine = [one for one in arrived if one.copy == row.number]
    counted = [one for one in mine if verdicts[one.id].state == COUNTED]
    if row.used and not any(one.tariff for one in mine):
        return None  # charged by an earlier release, which kept no records: its prices are no longer known
    runs = sorted(
        (serialisation.usage_from(one.record) for one in counted), key=lambda run: (run.restart, str(run.identity))
    )
    if any(verdicts[one.id].blocks for one in mine) or not all(run.final for run in runs):
        if row.used is not None and not written_off(row, mine):
            stored.change(tx, row.id, row.number, used=None)
        return None
    dropped = next((one for one in mine if one.decision and verdicts[one.id].state == DROPPED), None)
    if not runs and dropped is None:
        return None
    try:
        priced = (
            _priced(tx, row, counted, runs, pages, now)
            if runs
            else nothing(f"an operator decided so ({_words(dropped)})")
        )
    except NoPrice as error:
        if str(error) not in [message for _, message in stored.log(tx, [row.id])[row.id]]:
            stored.say(tx, row.id, now, str(error))
        return None
    _settled(tx, row, runs, priced, now)
    return priced


def written_off(row: SessionRow, mine: Iterable[UsageRow]) -> bool:
    """Tells whether a copy was settled although no record reported its use. A record that still waits for an operator,
    or of a run that was continuing, does not change that."""
    said = any((one.final and one.tariff) or (one.state == DROPPED and not one.record.get("late")) for one in mine)
    return row.used == 0 and not said


def _words(row: UsageRow | None) -> str:
    return row.decision.partition(":")[2].strip() if row else ""


def _priced(
    tx: Tx, row: SessionRow, counted: Sequence[UsageRow], runs: Sequence[Usage], pages: Pages, now: datetime
) -> Bill:
    """Prices the runs by the terms of the first time, which are stored then."""
    terms, digest = terms_of(tx, row, pages)
    outages = [
        Outage(centre=row.centre, start=start, end=end, words=words)
        for start, end, words in records.outages_of(tx, row.centre)
    ]
    priced = price(runs, terms, outages)
    records.keep_tariff(tx, digest, row.centre, row.partition, serialisation.terms_document(terms), now)
    for one in counted:
        if one.tariff != digest:
            records.change(tx, one.id, tariff=digest)
    return priced


def terms_of(tx: Tx, row: SessionRow, pages: Pages) -> tuple[Terms, str]:
    """Returns the terms by which a copy was first charged, or would be now, and their digest. Raises NoPrice."""
    of_copy = (one for one in records.of_session(tx, row.id) if one.copy == row.number and one.tariff)
    if first := next(of_copy, None):
        document = records.tariff(tx, first.tariff)
        assert document is not None
        return serialisation.terms_from(document), first.tariff
    terms = pages.terms(row)
    return terms, serialisation.digest_of(serialisation.terms_document(terms))


def _settled(tx: Tx, row: SessionRow, runs: Sequence[Usage], priced: Bill, now: datetime) -> None:
    started = min((one.start for one in runs if one.start), default=row.started_at)
    ended = max((one.end for one in runs if one.end), default=row.job_ended_at)
    change = {
        "job_state": lifecycle.step(row.job_state, "settled"), "used": priced.total.micros, "started_at": started,
        "job_ended_at": ended,
    }  # fmt: skip
    if all(getattr(row, name) == value for name, value in change.items()):
        return
    stored.change(tx, row.id, row.number, **change)
    if priced.total and row.used is None and not (row.leads and not row.live):
        ran = sum((one.elapsed for one in runs), timedelta())
        stored.say(tx, row.id, now, f"A further copy at {row.centre} ran for {format_duration(ran)}: not charged.")


def ended(tx: Tx, row: SessionRow, pages: Pages, now: datetime) -> None:
    """Settles an ended session whose leading copy was settled before."""
    reckon(tx, row.id, pages, now)
    fresh = stored.get(tx, row.id)
    if fresh is not None and fresh.charged is None and not fresh.used:
        nothing_ran(tx, row.id, now)


def nothing_ran(tx: Tx, session_id: str, now: datetime) -> None:
    close(tx, session_id, nothing("nothing ran"), now)


def so_far(tx: Tx, session_id: str, pages: Pages, until: datetime, now: datetime) -> None:
    """Charges a live session for its use before `until`, the beginning of this month, by its interim record, so that
    each month has its own charges. If its final record differs, the charge is corrected at the session's end."""
    row = stored.get(tx, session_id)
    if row is None or not row.live or not row.job_live or row.charged is not None:
        return
    there = [one for one in records.of_session(tx, session_id) if one.copy == row.number]
    counted = [one for one in there if one.state == COUNTED]
    runs = sorted(
        (serialisation.usage_from(one.record) for one in counted), key=lambda run: (run.restart, str(run.identity))
    )
    if any(one.state == SUSPENSE for one in there) or not any(run.start and run.start < until for run in runs):
        return
    try:
        priced = _priced(tx, row, counted, runs, pages, now)
    except NoPrice:
        return  # the error is reported when the session ends
    past = replace(priced, parts=tuple(part for part in priced.parts if part.at < until))
    stale, missing = compare(tx, row, past)
    back = take_back(tx, stale, now, f"taken back: {CORRECTED}")
    if missing:
        post(tx, row, missing, past.fee, now, last=False, back=back)
        stored.say(
            tx,
            row.id,
            now,
            f"Charged for its use before this month: {sum((part.cost for part in past.parts), Amount(0))}.",
        )


def settle_without(tx: Tx, row: SessionRow, now: datetime) -> None:
    """Settles an ended copy for which no record will come."""
    fresh = stored.get(tx, row.id, row.number)
    if fresh is None or fresh.job_live or fresh.used is not None:
        return
    stored.change(tx, row.id, row.number, job_state=lifecycle.step(fresh.job_state, "settled"), used=0)
    if fresh.leads and not fresh.live:
        close(tx, row.id, nothing("no usage record"), now)


# ---- the entries


def close(tx: Tx, session_id: str, priced: Bill, now: datetime, cause: str = CORRECTED) -> None:
    """Makes the live charges of an ended session equal to this bill: charges that are in it stay, others are taken
    back, the rest is charged. The first time, the rest of its hold is released."""
    row = stored.get(tx, session_id)
    if row is None or row.live:
        return
    stale, missing = compare(tx, row, priced)
    first = row.charged is None
    if not first and not stale and not missing and row.charged == priced.total.micros:
        return
    back = take_back(tx, stale, now, f"taken back: {cause}")
    post(tx, row, missing, priced.fee, now, last=True, back=back)
    if not missing:
        _give_back(tx, row, now, priced.words)
    before = Amount(row.charged or 0)
    stored.change(tx, row.id, state=CHARGED, charged=priced.total.micros, ended_at=row.job_ended_at or row.ended_at)
    if first:
        stored.say(
            tx,
            row.id,
            now,
            f"Charged {priced.total}: {priced.words}." if priced.total else f"Not charged: {priced.words}.",
        )
    else:
        stored.say(tx, row.id, now, f"Charged {priced.total} instead of {before}, because {cause}: {priced.words}.")


def _give_back(tx: Tx, row: SessionRow, now: datetime, words: str) -> None:
    there = stored_lots.hold(tx, row.id)
    if there and there.state == "open":
        books.release(tx, row.project, row.id, now, words)


def _take_all_back(tx: Tx, row: SessionRow, now: datetime) -> None:
    """Takes back all charges of a session while its records don't report its use; the lots that paid hold the amount
    meanwhile."""
    words = "taken back: its usage records no longer report its use"
    back = take_back(tx, stored_entries.charges_of(tx, row.id), now, words)
    held = {lot: micros for lot, micros in back.items() if lot != OVERDRAFT}
    books.hold_again(tx, row.project, row.id, held, CREDIT, now, words)
    stored.change(tx, row.id, state=ENDED, charged=None, held=sum(held.values()))
    if row.charged:
        stored.say(
            tx, row.id, now, f"The charge of {Amount(row.charged)} is taken back until its records report its use."
        )
