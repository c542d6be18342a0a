"""Writes the rows of sessions and copies that other services decided on. Makes no decision and sends no signal.

Every function works inside its caller's transaction. A copy is one job at a centre; a session has one or more.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ...adapters.db.database import Tx
from ...adapters.db.queries import sessions as session_rows
from ...display.session_states import INTENT, STOPPING
from ...domain.placement.placement import Placement, Ranked
from ...domain.sessions import lifecycle, names
from ...domain.sessions.records import Copy, Session, SessionCopy
from ..accounting import books, charging
from ..placement import documents
from ..placement.decision_log import FIRST, DecisionLog
from ..placement.placing import Placing
from ..projects import projects
from ..runtime import Runtime
from ..tokens import new_nonce

Json = dict[str, Any]


class Copies:
    def __init__(self, runtime: Runtime, placing: Placing, decision_log: DecisionLog) -> None:
        self.runtime, self.placing, self.decision_log = runtime, placing, decision_log

    def insert(
        self, tx: Tx, session_id: str, decision: Placement, payload: Json, *, continues: str = "", in_line: bool = False
    ) -> None:
        """Writes a session as decided, with its hold and its first copy."""
        best, request, now = decision.best, decision.request, self.runtime.clock()
        assert best is not None
        project = projects.resolve(tx, request.person, request.project)
        hold = self.placing.hold(request, best)
        books.hold(tx, project.id, session_id, hold.amount, now, hold.words, centre=best.offer.centre)
        session = {
            "id": session_id, "person": request.person, "project": project.id, "kind": request.kind,
            "name": request.name, "state": INTENT, "live": True, "request": names.request_document(request),
            "placement": documents.placement(decision), "payload": payload, "why": decision.reason, "end_reason": "",
            "created_at": now, "held": hold.amount.micros, "leased_until": hold.leased_until, "continues": continues,
            "in_line": in_line,
        }  # fmt: skip
        session_rows.insert(tx, session, self._copy(tx, request.person, best, FIRST))
        session_rows.add_event(tx, session_id, now, decision.reason)
        self.decision_log.add(tx, session_id, 1, decision, best, FIRST)

    def add(self, tx: Tx, session: Session, number: int, decision: Placement, place: Ranked, cause: str) -> None:
        """Writes a further copy of a session, at `place`."""
        session_rows.add_copy(tx, session.id, number, **self._copy(tx, session.person, place, cause))
        self.decision_log.add(tx, session.id, number, decision, place, cause)

    def _copy(self, tx: Tx, person: str, place: Ranked, cause: str) -> Json:
        nonce, hashed = new_nonce()
        now = self.runtime.clock()
        self.runtime.states.centres[place.offer.centre].breaker.took(now)
        return {
            "cause": cause, "asked_at": now, "centre": place.offer.centre, "partition": place.offer.partition,
            "secret": nonce, "nonce": hashed, "account": self.placing.account(tx, place.offer.centre, person),
        }  # fmt: skip


def refresh(tx: Tx, session_id: str) -> None:
    """Updates a live session's state and its leading copy from its copies."""
    rows = session_rows.copies_of(tx, session_id)
    if rows and rows[0].session.live:
        session_rows.update(tx, session_id, lead=lifecycle.lead(rows).number, state=lifecycle.state_of(rows))


def mark_to_stop(tx: Tx, copy: Copy, why: str, now: datetime) -> None:
    """Records that this copy should stop, and why."""
    state = lifecycle.step(copy.state, "stop")
    session_rows.update_copy(tx, copy.session, copy.number, state=state, cancelled_at=now, end_reason=why)


def wish_to_stop(tx: Tx, session: Session, why: str, said: str, now: datetime) -> None:
    """Records that a live session should stop with all its copies, and why; the watcher carries that out."""
    if session.live and not session.cancelled_at:
        session_rows.update(tx, session.id, state=STOPPING, cancelled_at=now, end_reason=why)
        session_rows.add_event(tx, session.id, now, said)
    for _, copy in session_rows.copies_of(tx, session.id):
        if copy.live and not copy.cancelled_at:
            mark_to_stop(tx, copy, why, now)


def withdraw(tx: Tx, copy: Copy, why: str, now: datetime) -> None:
    """Ends a copy whose centre certainly has no job for it."""
    close_uncharged(tx, copy, "withdrawn", why, now)


def close_uncharged(tx: Tx, copy: Copy, event: str, why: str, now: datetime) -> None:
    """Ends a copy that costs nothing, with that event of the life cycle."""
    fresh = session_rows.get(tx, copy.session, copy.number)  # its session may have been set aside since `copy` was read
    if fresh is None or not fresh.copy.live:
        return
    state = lifecycle.step(fresh.copy.state, event)
    session_rows.update_copy(
        tx, copy.session, copy.number, state=state, live=False, ended_at=now, end_reason=why, secret="", used=0
    )
    if fresh.leads and not fresh.session.live:
        charging.close_uncharged(tx, copy.session, now)


def inherit(tx: Tx, session_id: str) -> None:
    """Gives the name of an ended session to the session in line behind it, at whatever centre that session is."""
    if (found := session_rows.next_in_line(tx, session_id)) is None:
        return
    behind = found.session
    if behind.live and behind.in_line and not behind.cancelled_at:
        session_rows.update(tx, behind.id, in_line=False)


def heir(tx: Tx, row: SessionCopy) -> SessionCopy:
    """Returns the session that now has the name of `row` if `row` has ended: the hub may not know that session yet."""
    while (
        not row.session.live
        and (behind := session_rows.next_in_line(tx, row.session.id))
        and not behind.session.in_line
    ):
        row = behind
    return row
