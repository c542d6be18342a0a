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
from ...adapters.db.queries import entries as entry_rows
from ...adapters.db.queries import lots as lot_rows
from ...adapters.db.queries import sessions as session_rows
from ...adapters.db.queries import usage as usage_rows
from ...adapters.db.queries.usage import UsageRow
from ...display.session_states import CHARGED, ENDED
from ...domain.centres.state import CentreState
from ...domain.ledger.bills import Bill, nothing, price
from ...domain.ledger.lots import OVERDRAFT
from ...domain.pricing.tariffs import NoPrice, tariff_of
from ...domain.sessions import lifecycle
from ...domain.sessions.records import Copy, Session, SessionCopy
from ...domain.standard.federation import FederationSpec
from ...domain.usage import serialisation
from ...domain.usage.refunds import Outage
from ...domain.usage.runs import Usage
from ...domain.usage.serialisation import Terms
from ...domain.usage.suspense import SubmittedJob
from ...domain.usage.verdicts import COUNTED, DROPPED, SUSPENSE, Arrived, Verdict, weigh
from ...units import CREDIT, Amount, format_duration
from . import books
from .bill_entries import compare, post, take_back

CORRECTED = "its centre's accounting has corrected its usage record"
PERCENT = 10_000  # millionths


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceSource:
    """The current pages of the centres and of the federation, for copies that were never charged before."""

    centres: Mapping[str, CentreState]
    federation: FederationSpec

    def terms(self, copy: Copy) -> Terms:
        """Returns the terms by which a copy would be charged now. Raises NoPrice."""
        known = self.centres.get(copy.centre)
        offered = known.spec.offered(copy.partition) if known else None
        if known is None or offered is None:
            raise NoPrice(
                f"The page of {known.spec.name if known else copy.centre} no longer has the partition "
                f"{copy.partition}, so this session has no price.",
                hint="Ask its operators to put the partition back until the session is charged, or to write it off.",
            )
        fee = round(self.federation.settlement.fee_percent * PERCENT)
        return Terms(tariff=tariff_of(known.spec, offered), fee=fee, zone=self.federation.time_zone)


# ---- bringing the ledger in line with the records


def recharge(tx: Tx, session_id: str, pages: PriceSource, now: datetime, cause: str = CORRECTED) -> None:
    """Charges an ended session by all records that ever arrived for it, or corrects its charge; safe to repeat. `cause`
    says in words why a charge may differ from the one before."""
    rows = session_rows.copies_of(tx, session_id)
    arrived = usage_rows.of_session(tx, session_id)
    if not rows or not arrived:
        return
    verdicts = weighed(tx, rows, arrived, now)
    bills = {row.copy.number: _settle_copy(tx, row, arrived, verdicts, pages, now) for row in rows if not row.copy.live}
    lead = session_rows.get(tx, session_id)
    if lead is None or lead.session.live or lead.copy.live:
        return
    if priced := bills.get(lead.copy.number):
        close(tx, session_id, priced, now, cause)
    elif lead.copy.used is None and lead.session.charged is not None:
        _take_all_back(tx, lead.session, now)


def weighed(tx: Tx, rows: Sequence[SessionCopy], arrived: Sequence[UsageRow], now: datetime) -> dict[int, Verdict]:
    """Judges a session's records now, and stores the verdicts that changed."""
    copies = {row.copy.number: submitted_job(row) for row in rows}
    verdicts = weigh([_arrived(one) for one in arrived], copies, usage_rows.began(tx))
    for one in arrived:
        verdict = verdicts[one.id]
        if (one.state, one.reason) == (verdict.state, verdict.reason):
            continue
        usage_rows.update(tx, one.id, state=verdict.state, reason=verdict.reason)
        if verdict.blocks:
            session_rows.add_event(
                tx, one.session, now, f"Not charged until an operator has reviewed its usage record: {verdict.reason}"
            )
    return verdicts


def submitted_job(row: SessionCopy) -> SubmittedJob:
    """Returns what a usage record of this copy's job is checked against."""
    return SubmittedJob(
        session=row.session.id,
        number=row.copy.number,
        centre=row.copy.centre,
        asked_at=row.copy.asked_at,
        job_id=row.copy.job_id,
        gpus=int(row.session.request.get("gpus", 0)),
    )


def _arrived(row: UsageRow) -> Arrived:
    return Arrived(
        id=row.id, usage=serialisation.usage_from(row.record), seen_at=row.seen_at, doubt=row.record.get("doubt", ""),
        late=row.record.get("late", False), decision=row.decision.split(":")[0],
    )  # fmt: skip


def _settle_copy(
    tx: Tx,
    row: SessionCopy,
    arrived: Sequence[UsageRow],
    verdicts: Mapping[int, Verdict],
    pages: PriceSource,
    now: datetime,
) -> Bill | None:
    """Returns the cost of one copy's records; None: not known yet, or there are no records."""
    copy = row.copy
    mine = [one for one in arrived if one.copy == copy.number]
    counted = [one for one in mine if verdicts[one.id].state == COUNTED]
    if copy.used and not any(one.tariff for one in mine):
        return None  # charged by an earlier release, which kept no records: its prices are no longer known
    runs = sorted(
        (serialisation.usage_from(one.record) for one in counted), key=lambda run: (run.restart, str(run.identity))
    )
    if any(verdicts[one.id].blocks for one in mine) or not all(run.final for run in runs):
        if copy.used is not None and not written_off(copy, mine):
            session_rows.update_copy(tx, copy.session, copy.number, used=None)
        return None
    dropped = next((one for one in mine if one.decision and verdicts[one.id].state == DROPPED), None)
    if not runs and dropped is None:
        return None
    try:
        priced = (
            _priced(tx, copy, counted, runs, pages, now)
            if runs
            else nothing(f"an operator decided so ({_words(dropped)})")
        )
    except NoPrice as error:
        if str(error) not in [message for _, message in session_rows.events_of(tx, [copy.session])[copy.session]]:
            session_rows.add_event(tx, copy.session, now, str(error))
        return None
    _settled(tx, row, runs, priced, now)
    return priced


def written_off(copy: Copy, mine: Iterable[UsageRow]) -> bool:
    """Tells whether a copy was settled although no record reported its use. A record that still waits for an operator,
    or of a run that was continuing, does not change that."""
    said = any((one.final and one.tariff) or (one.state == DROPPED and not one.record.get("late")) for one in mine)
    return copy.used == 0 and not said


def _words(row: UsageRow | None) -> str:
    return row.decision.partition(":")[2].strip() if row else ""


def _priced(
    tx: Tx, copy: Copy, counted: Sequence[UsageRow], runs: Sequence[Usage], pages: PriceSource, now: datetime
) -> Bill:
    """Prices the runs by the terms of the first time, which are stored then."""
    terms, digest = terms_of(tx, copy, pages)
    outages = [
        Outage(centre=copy.centre, start=start, end=end, words=words)
        for start, end, words in usage_rows.outages_of(tx, copy.centre)
    ]
    priced = price(runs, terms, outages)
    usage_rows.keep_tariff(tx, digest, copy.centre, copy.partition, serialisation.terms_document(terms), now)
    for one in counted:
        if one.tariff != digest:
            usage_rows.update(tx, one.id, tariff=digest)
    return priced


def terms_of(tx: Tx, copy: Copy, pages: PriceSource) -> tuple[Terms, str]:
    """Returns the terms by which a copy was first charged, or would be now, and their digest. Raises NoPrice."""
    of_copy = (one for one in usage_rows.of_session(tx, copy.session) if one.copy == copy.number and one.tariff)
    if first := next(of_copy, None):
        document = usage_rows.tariff(tx, first.tariff)
        assert document is not None
        return serialisation.terms_from(document), first.tariff
    terms = pages.terms(copy)
    return terms, serialisation.digest_of(serialisation.terms_document(terms))


def _settled(tx: Tx, row: SessionCopy, runs: Sequence[Usage], priced: Bill, now: datetime) -> None:
    copy = row.copy
    started = min((one.start for one in runs if one.start), default=copy.started_at)
    ended = max((one.end for one in runs if one.end), default=copy.ended_at)
    change = {
        "state": lifecycle.step(copy.state, "settled"), "used": priced.total.micros, "started_at": started,
        "ended_at": ended,
    }  # fmt: skip
    if all(getattr(copy, name) == value for name, value in change.items()):
        return
    session_rows.update_copy(tx, copy.session, copy.number, **change)
    if priced.total and copy.used is None and not (row.leads and not row.session.live):
        ran = sum((one.elapsed for one in runs), timedelta())
        said = f"A further copy at {copy.centre} ran for {format_duration(ran)}: not charged."
        session_rows.add_event(tx, copy.session, now, said)


def ended(tx: Tx, session_id: str, pages: PriceSource, now: datetime) -> None:
    """Settles an ended session whose leading copy was settled before."""
    recharge(tx, session_id, pages, now)
    fresh = session_rows.get(tx, session_id)
    if fresh is not None and fresh.session.charged is None and not fresh.copy.used:
        close_uncharged(tx, session_id, now)


def close_uncharged(tx: Tx, session_id: str, now: datetime) -> None:
    close(tx, session_id, nothing("nothing ran"), now)


def charge_interim(tx: Tx, session_id: str, pages: PriceSource, until: datetime, now: datetime) -> None:
    """Charges a live session for its use before `until`, the beginning of this month, by its interim record, so that
    each month has its own charges. If its final record differs, the charge is corrected at the session's end."""
    row = session_rows.get(tx, session_id)
    if row is None or not row.session.live or not row.copy.live or row.session.charged is not None:
        return
    there = [one for one in usage_rows.of_session(tx, session_id) if one.copy == row.copy.number]
    counted = [one for one in there if one.state == COUNTED]
    runs = sorted(
        (serialisation.usage_from(one.record) for one in counted), key=lambda run: (run.restart, str(run.identity))
    )
    if any(one.state == SUSPENSE for one in there) or not any(run.start and run.start < until for run in runs):
        return
    try:
        priced = _priced(tx, row.copy, counted, runs, pages, now)
    except NoPrice:
        return  # the error is reported when the session ends
    past = replace(priced, parts=tuple(part for part in priced.parts if part.at < until))
    stale, missing = compare(tx, row.copy, past)
    back = take_back(tx, stale, now, f"taken back: {CORRECTED}")
    if missing:
        post(tx, row, missing, past.fee, now, last=False, back=back)
        session_rows.add_event(
            tx,
            session_id,
            now,
            f"Charged for its use before this month: {sum((part.cost for part in past.parts), Amount(0))}.",
        )


def settle_without(tx: Tx, copy: Copy, now: datetime) -> None:
    """Settles an ended copy for which no record will come."""
    fresh = session_rows.get(tx, copy.session, copy.number)
    if fresh is None or fresh.copy.live or fresh.copy.used is not None:
        return
    session_rows.update_copy(tx, copy.session, copy.number, state=lifecycle.step(fresh.copy.state, "settled"), used=0)
    if fresh.leads and not fresh.session.live:
        close(tx, copy.session, nothing("no usage record"), now)


# ---- the entries


def close(tx: Tx, session_id: str, priced: Bill, now: datetime, cause: str = CORRECTED) -> None:
    """Makes the live charges of an ended session equal to this bill: charges that are in it stay, others are taken
    back, the rest is charged. The first time, the rest of its hold is released."""
    row = session_rows.get(tx, session_id)
    if row is None or row.session.live:
        return
    session, copy = row
    stale, missing = compare(tx, copy, priced)
    first = session.charged is None
    if not first and not stale and not missing and session.charged == priced.total.micros:
        return
    back = take_back(tx, stale, now, f"taken back: {cause}")
    post(tx, row, missing, priced.fee, now, last=True, back=back)
    if not missing:
        _give_back(tx, session, now, priced.words)
    before = Amount(session.charged or 0)
    ended_at = copy.ended_at or session.ended_at
    session_rows.update(tx, session_id, state=CHARGED, charged=priced.total.micros, ended_at=ended_at)
    if first:
        session_rows.add_event(
            tx,
            session_id,
            now,
            f"Charged {priced.total}: {priced.words}." if priced.total else f"Not charged: {priced.words}.",
        )
    else:
        session_rows.add_event(
            tx, session_id, now, f"Charged {priced.total} instead of {before}, because {cause}: {priced.words}."
        )


def _give_back(tx: Tx, session: Session, now: datetime, words: str) -> None:
    there = lot_rows.hold(tx, session.id)
    if there and there.state == "open":
        books.release(tx, session.project, session.id, now, words)


def _take_all_back(tx: Tx, session: Session, now: datetime) -> None:
    """Takes back all charges of a session while its records don't report its use; the lots that paid hold the amount
    meanwhile."""
    words = "taken back: its usage records no longer report its use"
    back = take_back(tx, entry_rows.charges_of(tx, session.id), now, words)
    held = {lot: micros for lot, micros in back.items() if lot != OVERDRAFT}
    books.hold_again(tx, session.project, session.id, held, CREDIT, now, words)
    session_rows.update(tx, session.id, state=ENDED, charged=None, held=sum(held.values()))
    if session.charged:
        said = f"The charge of {Amount(session.charged)} is taken back until its records report its use."
        session_rows.add_event(tx, session.id, now, said)
