"""Writes the mails about credits: a project asks for them, the answer, their begin and end, and that they run out.

Each mail is written in the transaction of the event that it reports. `mailer` sends the mails; `allocations` decides.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from ...adapters.db.database import Tx
from ...adapters.db.queries import allocations as allocation_rows
from ...adapters.db.queries import lots as lot_rows
from ...adapters.db.queries.allocations import AllocationRow
from ...display.times import dated
from ...domain.ledger.lots import Lot
from ...domain.sessions.records import Session
from ...units import Amount
from . import mailer, projects

WARN = (timedelta(days=30), timedelta(days=7), timedelta(days=1))  # before credits end
WAITED = timedelta(minutes=1)  # credits that begin as they are approved are announced once


def asked(tx: Tx, row: AllocationRow, now: datetime) -> None:
    """Tells the operators, who answer the request."""
    more = f"It would continue allocation {row.renews} and take over its remaining credits.\n" if row.renews else ""
    why = f"They write:\n\n{row.words}\n" if row.words.strip() else "They give no reason.\n"
    body = (
        f"{row.asked_by} asks for {_what(row)} for project {row.project}.\n{more}{why}\n"
        f"`scnet allocations approve {row.id}` grants it, `scnet allocations decline {row.id}` does not."
    )
    mailer.write(
        tx, f"allocation/{row.id}/asked", mailer.OPERATORS, f"Project {row.project} asks for {_amount(row)}", body, now
    )


def answered(tx: Tx, row: AllocationRow, now: datetime) -> None:
    """Tells the person who asked and the project's PI and managers."""
    words = f"They write:\n\n{row.answer}\n" if row.answer.strip() else ""
    granted = row.state != "declined"
    what = f"{_what(row)} for project {row.project}"
    said = f"{row.grantor} grants {what}." if granted else f"The request for {what} was declined."
    subject = f"Project {row.project}: {_amount(row)} {'granted' if granted else 'declined'}"
    _tell(
        tx,
        f"allocation/{row.id}/answered",
        {row.asked_by, *projects.leaders(tx, row.project)},
        subject,
        f"{said}\n{words}",
        now,
    )


def begun(tx: Tx, row: AllocationRow, now: datetime) -> None:
    """Tells the project's PI and managers, unless they were told just now, when it was granted."""
    if row.decided_at and now - row.decided_at < WAITED:
        return
    body = f"{_what(row)} may be spent by project {row.project} from now on."
    _tell(
        tx,
        f"allocation/{row.id}/begun",
        projects.leaders(tx, row.project),
        f"Project {row.project}: {_amount(row)} begin",
        body,
        now,
    )


def endings(tx: Tx, now: datetime) -> int:
    """Tells the PI and managers which unspent credits end in 30 days, 7 and 1, unless an allocation renews them.
    Returns the number of new mails."""
    renewed = {(row.project, row.renews) for row in allocation_rows.list_for(tx, state="approved") if row.renews}
    return sum(
        _warn(tx, lot, now)
        for lot in lot_rows.expiring(tx, now, now + WARN[0])
        if (lot.project, lot.name) not in renewed
    )


def _warn(tx: Tx, lot: Lot, now: datetime) -> int:
    assert lot.expires_at is not None
    near = min(one for one in WARN if lot.expires_at - now <= one)
    amount = Amount(lot.available, lot.unit)
    body = (
        f"Project {lot.project}: {ending_words(lot, now)}\n\nCredits that running sessions hold are not lost "
        "before those sessions end. "
        f"`scnet allocations request {lot.project} AMOUNT --renews {lot.name}` asks for more time, where it was "
        "an allocation."
    )
    key = f"lot/{lot.project}/{lot.unit}/{lot.name}/{lot.expires_at:%Y%m%dT%H%M}/{near.days}"
    return _tell(
        tx,
        key,
        projects.leaders(tx, lot.project),
        f"Project {lot.project}: {amount} end {_within(lot.expires_at, now)}",
        body,
        now,
    )


def runs_out(tx: Tx, session: Session, centre: str, why: str, now: datetime) -> None:
    """Tells the owner of a session at `centre` that it will be stopped soon unless credits are added."""
    what = f"{'Lab' if session.kind == 'lab' else 'session'} {session.name}".strip()
    body = (
        f"Your {what} at {centre} runs out of credits. {why}\n\nSave your work. When credits are added, it "
        "continues automatically."
    )
    _tell(tx, f"lease/{session.id}/{now:%Y%m%dT%H%M}", [session.person], f"Your {what} runs out of credits", body, now)


def ending_words(lot: Lot, now: datetime) -> str:
    """Says what is lost, and when: "5.00 credits of first end on 30 Nov 2026 16:00 UTC (in 7 days): credits not spent
    by then are lost." """
    assert lot.expires_at is not None
    what, until = Amount(lot.available, lot.unit), dated(lot.expires_at)
    return (
        f"{what} of {lot.name or 'the first grant'} end on {until} ({_within(lot.expires_at, now)}): credits not "
        "spent by then are lost."
    )


def _within(at: datetime, now: datetime) -> str:
    days = (at - now).days
    return f"in {days} days" if days > 1 else "tomorrow" if days == 1 else "today"


def _tell(tx: Tx, key: str, people: Iterable[str], subject: str, body: str, now: datetime) -> int:
    return sum(mailer.write(tx, f"{key}/{person}", person, subject, body, now) for person in sorted(people))


def _amount(row: AllocationRow) -> str:
    return str(Amount(row.micros, row.unit))


def _what(row: AllocationRow) -> str:
    until = f" until {dated(row.ends_at)}" if row.ends_at else ""
    where = f", at {' and '.join(row.centres)} only," if row.centres else ""
    return f"{_amount(row)}{where} from {dated(row.begins_at)}{until}"
