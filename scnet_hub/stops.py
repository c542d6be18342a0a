"""Stopping: the wish is written first, then carried out until a centre confirms the end, or it is certain that it has no such job.

A session stops with all its copies, a copy alone where another one leads or it can never start. What a centre never took, or knows nothing
of any more, ends without a charge. What the end of a copy means for its session is `Federation.over`.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import TYPE_CHECKING

from . import charging, lifecycle, sessions
from .db import Tx
from .db import sessions as stored
from .db.sessions import SessionRow
from .errors import CentreError
from .jobs import JobState, JobStatus

if TYPE_CHECKING:
    from .federation import Federation

log = logging.getLogger(__name__)


class Stops:
    def __init__(self, federation: Federation) -> None:
        self.federation = federation

    # ---- on a wish

    async def cancel(self, row: SessionRow, why: str) -> SessionRow:
        """Stops a session, with all its copies."""
        fed = self.federation
        if not row.live:
            return row
        rows = await fed.db.run(self._wish_to_stop, row.id, why)
        for told in {row.id, *(one.id for one in rows)}:
            fed.changes.tell(told)
        for one in rows:
            if one.job_id:
                await self.cancel_job(one)
            else:
                fed.launches.begin(one.id, one.number, again=True)
        return await fed.get(row.id)

    def _wish_to_stop(self, tx: Tx, session_id: str, why: str) -> list[SessionRow]:
        now = self.federation.clock()
        row = stored.get(tx, session_id)
        if row and row.live and not row.cancelled_at:
            stored.change(tx, session_id, state="stopping", cancelled_at=now, end_reason=why)
            stored.say(tx, session_id, now, "Stopping." if why == lifecycle.ON_REQUEST else why)
        for one in stored.copies_of(tx, session_id):
            if one.job_live and not one.job_cancelled_at:
                should_stop(tx, one, why, now)
        going = [one for one in stored.copies_of(tx, session_id) if one.job_live]
        behind = stored.next_in_line(tx, session_id)  # it would take the name over, and go on
        return going + (self._wish_to_stop(tx, behind.id, why) if behind and behind.live and behind.in_line else [])

    async def give_up(self, row: SessionRow, why: str) -> None:
        """Stops a copy that its centre can never start; the session too, if that is all it has."""
        rows = await self.federation.db.run(self._give_up, row, why)
        self.federation.changes.tell(row.id)
        for one in rows:
            self.stop_copy(one)

    def _give_up(self, tx: Tx, row: SessionRow, why: str) -> list[SessionRow]:
        rows, now = stored.copies_of(tx, row.id), self.federation.clock()
        going = [one for one in rows if one.job_live and not one.job_cancelled_at]
        fresh = next((one for one in going if one.number == row.number), None)
        if fresh is None:
            return []
        if len(going) == 1:
            return self._wish_to_stop(tx, row.id, why)
        should_stop(tx, fresh, why, now)
        stored.say(tx, row.id, now, why)
        self.federation.fold(tx, row.id)
        return [one for one in stored.copies_of(tx, row.id) if one.number == row.number]

    def stop_copy(self, row: SessionRow) -> None:
        """Carries out, beside what goes on, that this copy should stop."""
        if row.job_id:
            self.federation.own(self.cancel_job(row))
        else:
            self.federation.launches.begin(row.id, row.number, again=True)

    async def cancel_job(self, row: SessionRow) -> None:
        centre = self.federation.centres[row.centre]
        try:
            name = sessions.job_name(row)  # by name: a centre that lost its state gives ids out again
            if job_id := await centre.find(name, account=row.account):
                await centre.cancel([job_id], account=row.account)
        except CentreError as error:
            log.warning("%s: cancelling job %s failed, will be tried again: %s", row.centre, row.job_id, error)
        self.federation.watchers[row.centre].poke(0.3)

    # ---- without a charge

    async def withdrawn(self, row: SessionRow, why: str) -> None:
        """It is certain that the centre has no job of this copy, and it is not asked for one any more."""
        await self.federation.db.run(self._withdrawn, row, why)
        self.federation.changes.tell(row.id)
        await self.federation.scrub(row)

    def _withdrawn(self, tx: Tx, row: SessionRow, why: str) -> None:
        self.withdraw(tx, row, why)
        rows = stored.copies_of(tx, row.id)
        if rows[0].live and not any(one.job_live for one in rows):
            self.federation.end_session(tx, row.id, why)
        self.federation.fold(tx, row.id)

    def withdraw(self, tx: Tx, row: SessionRow, why: str) -> None:
        self._nothing_to_charge(tx, row, "withdrawn", why)

    async def write_off_all(self, row: SessionRow, why: str) -> None:
        """The same as `write_off` for every copy of a session, on an operator's word."""
        for one in await self.federation.db.run(stored.copies_of, row.id):
            if one.job_live or one.used is None:
                await self.write_off(one, why)

    async def write_off(self, row: SessionRow, why: str) -> None:
        """Ends a copy that its centre does not know any more: nothing to charge. What of it turns up again is stopped."""
        await self.federation.db.run(self._write_off, row, why)
        self.federation.changes.tell(row.id)

    def _write_off(self, tx: Tx, row: SessionRow, why: str) -> None:
        fed, now = self.federation, self.federation.clock()
        fresh = stored.get(tx, row.id, row.number)
        if fresh and not fresh.job_live and fresh.used is None:  # it ended, and its usage record will never come
            stored.say(tx, row.id, now, why)
            charging.settle_without(tx, fresh, now)
        if fresh is None or not fresh.job_live or (row.forgotten_since and not fresh.forgotten_since):  # heard of again
            return
        self._nothing_to_charge(tx, fresh, "written off" if fresh.job_id else "withdrawn", why)
        fed.over(tx, fresh, why, JobStatus(state=JobState.CANCELLED, seen_at=now))
        fed.fold(tx, row.id)

    def _nothing_to_charge(self, tx: Tx, row: SessionRow, event: str, why: str) -> None:
        fresh = stored.get(tx, row.id, row.number)  # its session may have been set aside since `row` was read
        if fresh is None or not fresh.job_live:
            return
        row, now = fresh, self.federation.clock()
        state = lifecycle.step(row.job_state, event)
        stored.change(tx, row.id, row.number, job_state=state, job_live=False, job_ended_at=now, job_end=why, secret="", used=0)
        if row.leads and not row.live:
            charging.nothing_ran(tx, row.id, now)


def should_stop(tx: Tx, row: SessionRow, why: str, now: datetime) -> None:
    """Writes down that this copy should stop, and why."""
    state = lifecycle.step(row.job_state, "stop")
    stored.change(tx, row.id, row.number, job_state=state, job_cancelled_at=now, job_end=why)
