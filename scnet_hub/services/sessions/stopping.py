"""Stops sessions: the wish is written first, then carried out until a centre confirms the end or certainly has no such
job.

A session stops with all its copies; a single copy stops where another one leads or where it can never start. A copy
that a centre never took, or no longer knows, ends without a charge. `endings.Endings.copy_ended` decides what a copy's
end means for its session.
"""

from __future__ import annotations

import logging

from ...adapters.db.database import Tx
from ...adapters.db.queries import sessions as stored
from ...display.session_states import STOPPING
from ...domain.jobs import JobState, JobStatus
from ...domain.sessions import lifecycle, names
from ...domain.sessions.records import SessionRow
from ...errors import CentreError
from ..accounting import charging
from ..runtime import Runtime
from .copies import close_uncharged, mark_to_stop, refresh, withdraw
from .endings import Endings
from .files import Files
from .lookup import Lookup

log = logging.getLogger(__name__)


class Stopping:
    def __init__(self, runtime: Runtime, endings: Endings, files: Files, lookup: Lookup) -> None:
        self.runtime, self.endings, self.files, self.lookup = runtime, endings, files, lookup

    # ---- on request

    async def cancel(self, row: SessionRow, why: str = lifecycle.ON_REQUEST) -> SessionRow:
        """Stops a session with all its copies: the wish is written first, then carried out until its centres confirm
        the end."""
        if not row.live:
            return row
        rows = await self.runtime.db.run(self._wish_to_stop, row.id, why)
        for told in {row.id, *(one.id for one in rows)}:
            self.runtime.signals.changes.notify(told)
        for one in rows:
            if one.job_id:
                await self.cancel_job(one)
            else:
                self.runtime.signals.launch(one.id, one.number, True)
        return await self.lookup.get(row.id)

    def _wish_to_stop(self, tx: Tx, session_id: str, why: str) -> list[SessionRow]:
        now = self.runtime.clock()
        row = stored.get(tx, session_id)
        if row and row.live and not row.cancelled_at:
            stored.change(tx, session_id, state=STOPPING, cancelled_at=now, end_reason=why)
            stored.say(tx, session_id, now, "Stopping." if why == lifecycle.ON_REQUEST else why)
        for one in stored.copies_of(tx, session_id):
            if one.job_live and not one.job_cancelled_at:
                mark_to_stop(tx, one, why, now)
        going = [one for one in stored.copies_of(tx, session_id) if one.job_live]
        behind = stored.next_in_line(tx, session_id)  # the next session would otherwise take over the name and continue
        return going + (self._wish_to_stop(tx, behind.id, why) if behind and behind.live and behind.in_line else [])

    async def give_up(self, row: SessionRow, why: str) -> None:
        """Stops a copy that its centre can never start, and the session too if that is its only copy."""
        rows = await self.runtime.db.run(self._give_up, row, why)
        self.runtime.signals.changes.notify(row.id)
        for one in rows:
            self.stop_copy(one)

    def _give_up(self, tx: Tx, row: SessionRow, why: str) -> list[SessionRow]:
        rows, now = stored.copies_of(tx, row.id), self.runtime.clock()
        going = [one for one in rows if one.job_live and not one.job_cancelled_at]
        fresh = next((one for one in going if one.number == row.number), None)
        if fresh is None:
            return []
        if len(going) == 1:
            return self._wish_to_stop(tx, row.id, why)
        mark_to_stop(tx, fresh, why, now)
        stored.say(tx, row.id, now, why)
        refresh(tx, row.id)
        return [one for one in stored.copies_of(tx, row.id) if one.number == row.number]

    def stop_copy(self, row: SessionRow) -> None:
        """Stops this copy in the background."""
        if row.job_id:
            self.runtime.tasks.own(self.cancel_job(row))
        else:
            self.runtime.signals.launch(row.id, row.number, True)

    async def cancel_job(self, row: SessionRow) -> None:
        centre = self.runtime.centres[row.centre]
        try:
            name = names.job_name(row)  # by name: a centre that lost its state gives ids out again
            if job_id := await centre.find(name, account=row.account):
                await centre.cancel([job_id], account=row.account)
        except CentreError as error:
            log.warning("%s: cancelling job %s failed, will be tried again: %s", row.centre, row.job_id, error)
        self.runtime.signals.look_soon(row.centre, 0.3)

    # ---- without a charge

    async def withdrawn(self, row: SessionRow, why: str) -> None:
        """Ends a copy for which the centre certainly has no job and will not be asked for one."""
        await self.runtime.db.run(self._withdrawn, row, why)
        self.runtime.signals.changes.notify(row.id)
        await self.files.scrub(row)

    def _withdrawn(self, tx: Tx, row: SessionRow, why: str) -> None:
        withdraw(tx, row, why, self.runtime.clock())
        rows = stored.copies_of(tx, row.id)
        if rows[0].live and not any(one.job_live for one in rows):
            self.endings.end_session(tx, row.id, why)
        refresh(tx, row.id)

    async def write_off_all(self, row: SessionRow, why: str) -> None:
        """Does the same as `write_off` for every copy of a session, at an operator's request."""
        for one in await self.runtime.db.run(stored.copies_of, row.id):
            if one.job_live or one.used is None:
                await self.write_off(one, why)

    async def write_off(self, row: SessionRow, why: str) -> None:
        """Ends a copy that its centre no longer knows, without a charge. If its job appears again, the job is
        stopped."""
        await self.runtime.db.run(self._write_off, row, why)
        self.runtime.signals.changes.notify(row.id)

    def _write_off(self, tx: Tx, row: SessionRow, why: str) -> None:
        now = self.runtime.clock()
        fresh = stored.get(tx, row.id, row.number)
        if fresh and not fresh.job_live and fresh.used is None:  # the copy ended, and its usage record will never come
            stored.say(tx, row.id, now, why)
            charging.settle_without(tx, fresh, now)
        # the centre knows the job again
        if fresh is None or not fresh.job_live or (row.forgotten_since and not fresh.forgotten_since):
            return
        close_uncharged(tx, fresh, "written off" if fresh.job_id else "withdrawn", why, now)
        self.endings.copy_ended(tx, fresh, why, JobStatus(state=JobState.CANCELLED, seen_at=now))
        refresh(tx, row.id)
