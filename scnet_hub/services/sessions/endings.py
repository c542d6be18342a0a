"""Takes in a centre's answers about a copy, and decides the consequence of a copy's end for its session: the session
continues with its other copies, starts another copy, or ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...adapters.db.database import Tx
from ...adapters.db.queries import sessions as stored
from ...display.session_states import ENDED
from ...domain.centres.health import Asked
from ...domain.jobs import JobState, JobStatus, UsageRecord
from ...domain.sessions import lifecycle
from ...domain.sessions.records import SessionRow
from ...errors import CentreError, plain
from ..accounting import charging, intake
from ..runtime import Runtime
from .copies import inherit, mark_to_stop, refresh
from .second_chances import SecondChances

# ended before the session was ready, and not because its owner asked
DIED = (JobState.FAILED, JobState.COMPLETED, JobState.LOST)


class Endings:
    def __init__(self, runtime: Runtime, second_chances: SecondChances, pages: charging.Pages) -> None:
        self.runtime, self.second_chances, self.pages = runtime, second_chances, pages

    async def take_status(self, row: SessionRow, status: JobStatus, tail: str) -> SessionRow | None:
        """Applies a centre's status to the current row of the copy. Returns the row from before the change, or None if
        nothing changed."""
        before, further = await self.runtime.db.run(self._take_status, row, status, tail)
        if before:
            self.runtime.signals.changes.notify(row.id)
        if further:
            self.runtime.signals.launch(row.id, further, False)
        return before

    def _take_status(self, tx: Tx, row: SessionRow, status: JobStatus, tail: str) -> tuple[SessionRow | None, int]:
        fresh = stored.get(tx, row.id, row.number)
        status = replace(status, node=plain(status.node, 200), reason=plain(status.reason))
        if fresh is None or not fresh.job_live or not (change := lifecycle.after(fresh, status)):
            return None, 0
        ended = change.get("job_live") is False
        if ended and not fresh.job_cancelled_at:
            change["job_end"] += tail
        stored.change(tx, row.id, row.number, **change)
        if said := lifecycle.event_line(fresh, change):
            stored.say(tx, row.id, self.runtime.clock(), said)
        further = self.copy_ended(tx, fresh, change.get("job_end", fresh.job_end), status) if ended else 0
        refresh(tx, row.id)
        return fresh, further

    def settle(self, tx: Tx, row: SessionRow, runs: Sequence[UsageRecord]) -> None:
        """Takes in a centre's usage records of a copy, and charges by them."""
        intake.settle(tx, row.centre, [row], runs, self.pages, self.runtime.clock())

    def copy_ended(self, tx: Tx, row: SessionRow, why: str, status: JobStatus) -> int:
        """Handles the end of a copy. Returns the number of the copy to launch instead, or 0."""
        rows = stored.copies_of(tx, row.id)
        died = row.kind == "lab" and not row.ready_at and not row.job_cancelled_at and status.state in DIED
        first = why.splitlines()[0].rstrip(".") if died else ""
        if died:
            self._start_died(row, first)
        if not rows[0].live or (any(one.job_live for one in rows) and not (row.ready_at and row.leads)):
            return 0
        why_elsewhere = f"Its start at {row.centre} failed ({first})"
        if (
            died
            and not rows[0].cancelled_at
            and (number := self.second_chances.next_place(tx, row.id, "failed", why_elsewhere))
        ):
            return number
        self.end_session(tx, row.id, why)
        return 0

    def _start_died(self, row: SessionRow, why: str) -> None:
        known, now = self.runtime.load.centres[row.centre], self.runtime.clock()
        known.breaker.failed(row.person, why, now)
        known.health.heard(Asked(hop="starts", at=now, error=CentreError(f"a session failed to start: {why}")))

    def start_worked(self, centre: str) -> None:
        """Records that a session of that centre became ready."""
        known = self.runtime.load.centres[centre]
        known.breaker.succeeded()
        known.health.heard(Asked(hop="starts", at=self.runtime.clock()))

    def end_session(self, tx: Tx, session_id: str, why: str, *, next_in_line: bool = True) -> None:
        """Ends the session for its owner. Jobs still at a centre are stopped and settled later."""
        rows, now = stored.copies_of(tx, session_id), self.runtime.clock()
        leading = lifecycle.lead(rows)
        why = rows[0].end_reason if rows[0].cancelled_at and rows[0].end_reason else why
        stored.change(
            tx, session_id, state=ENDED, live=False, lead=leading.number, ended_at=now, end_reason=why, payload={}
        )
        stored.say(tx, session_id, now, why)
        for row in rows:
            if row.job_live and not row.job_cancelled_at:
                mark_to_stop(tx, row, why, now)
        if leading.used is not None:
            charging.ended(tx, leading, self.pages, now)
        if next_in_line:
            inherit(tx, session_id)
