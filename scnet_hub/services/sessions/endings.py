"""Takes in a centre's answers about a copy, and decides the consequence of a copy's end for its session: the session
continues with its other copies, starts another copy, or ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...adapters.db.database import Tx
from ...adapters.db.queries import sessions as session_rows
from ...display.session_states import ENDED
from ...domain.centres.health import ProbeResult
from ...domain.jobs import JobState, JobStatus, UsageRecord
from ...domain.sessions import lifecycle
from ...domain.sessions.records import Copy, SessionCopy
from ...errors import CentreError, plain
from ..accounting import charging, intake
from ..runtime import Runtime
from .copies import inherit, mark_to_stop, refresh, wish_to_stop
from .second_chances import SecondChances

# ended before the session was ready, and not because its owner asked
DIED = (JobState.FAILED, JobState.COMPLETED, JobState.LOST)


class Endings:
    def __init__(self, runtime: Runtime, second_chances: SecondChances, pages: charging.PriceSource) -> None:
        self.runtime, self.second_chances, self.pages = runtime, second_chances, pages

    async def take_status(self, row: SessionCopy, status: JobStatus, tail: str) -> Copy | None:
        """Applies a centre's status to the current row of the copy. Returns the copy from before the change, or None if
        nothing changed."""
        before, further = await self.runtime.db.run(self._take_status, row, status, tail)
        if before:
            self.runtime.signals.changes.notify(row.session.id)
        if further:
            self.runtime.signals.launch(row.session.id, further, False)
        return before

    def _take_status(self, tx: Tx, row: SessionCopy, status: JobStatus, tail: str) -> tuple[Copy | None, int]:
        session_id, number = row.session.id, row.copy.number
        fresh = session_rows.get(tx, session_id, number)
        status = replace(status, node=plain(status.node, 200), reason=plain(status.reason))
        if fresh is None or not fresh.copy.live or not (change := lifecycle.after(fresh, status)):
            return None, 0
        ended = change.get("live") is False
        if ended and not fresh.copy.cancelled_at:
            change["end_reason"] += tail
        session_rows.update_copy(tx, session_id, number, **change)
        if said := lifecycle.event_line(fresh.copy, change):
            session_rows.add_event(tx, session_id, self.runtime.clock(), said)
        further = self.copy_ended(tx, fresh, change.get("end_reason", fresh.copy.end_reason), status) if ended else 0
        refresh(tx, session_id)
        return fresh.copy, further

    def settle(self, tx: Tx, copy: Copy, runs: Sequence[UsageRecord]) -> None:
        """Takes in a centre's usage records of a copy, and charges by them."""
        intake.settle(tx, copy.centre, [copy], runs, self.pages, self.runtime.clock())

    def copy_ended(self, tx: Tx, row: SessionCopy, why: str, status: JobStatus) -> int:
        """Handles the end of a copy. Returns the number of the copy to launch instead, or 0."""
        session, copy = row
        rows = session_rows.copies_of(tx, session.id)
        died = session.kind == "lab" and not session.ready_at and not copy.cancelled_at and status.state in DIED
        first = why.splitlines()[0].rstrip(".") if died else ""
        if died:
            self._start_died(row, first)
        fresh, others = rows[0].session, any(one.live for _, one in rows)
        if not fresh.live or (others and not (session.ready_at and row.leads)):
            return 0
        why_elsewhere = f"Its start at {copy.centre} failed ({first})"
        if (
            died
            and not fresh.cancelled_at
            and (number := self.second_chances.next_place(tx, session.id, "failed", why_elsewhere))
        ):
            return number
        self.end_session(tx, session.id, why)
        return 0

    def _start_died(self, row: SessionCopy, why: str) -> None:
        known, now = self.runtime.states.centres[row.copy.centre], self.runtime.clock()
        known.breaker.failed(row.session.person, why, now)
        known.health.heard(ProbeResult(hop="starts", at=now, error=CentreError(f"a session failed to start: {why}")))

    def start_worked(self, centre: str) -> None:
        """Records that a session of that centre became ready."""
        known = self.runtime.states.centres[centre]
        known.breaker.succeeded()
        known.health.heard(ProbeResult(hop="starts", at=self.runtime.clock()))

    def end_session(self, tx: Tx, session_id: str, why: str, *, next_in_line: bool = True) -> None:
        """Ends the session for its owner. Jobs still at a centre are stopped and settled later."""
        rows, now = session_rows.copies_of(tx, session_id), self.runtime.clock()
        session, leading = rows[0].session, lifecycle.lead(rows)
        why = session.end_reason if session.cancelled_at and session.end_reason else why
        session_rows.update(
            tx, session_id, state=ENDED, live=False, lead=leading.number, ended_at=now, end_reason=why, payload={}
        )
        session_rows.add_event(tx, session_id, now, why)
        for _, copy in rows:
            if copy.live and not copy.cancelled_at:
                mark_to_stop(tx, copy, why, now)
        if leading.used is not None:
            charging.ended(tx, session_id, self.pages, now)
        if next_in_line:
            inherit(tx, session_id)
        for row in session_rows.ending_with(tx, session):
            why = f"Stopped: it was to end with session {session_id}, which has ended."
            wish_to_stop(tx, row.session, why, why, now)
