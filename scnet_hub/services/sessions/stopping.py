"""Stops sessions: the wish is written first, then carried out until a centre confirms the end or certainly has no such
job.

A session stops with all its copies; a single copy stops where another one leads or where it can never start. A copy
that a centre never took, or no longer knows, ends without a charge. `endings.Endings.copy_ended` decides what a copy's
end means for its session.
"""

from __future__ import annotations

import logging

from ...adapters.db.database import Tx
from ...adapters.db.queries import sessions as session_rows
from ...domain.jobs import JobState, JobStatus
from ...domain.sessions import lifecycle, names
from ...domain.sessions.records import Copy, SessionCopy
from ...errors import CentreError
from ..accounting import charging
from ..runtime import Runtime
from .copies import close_uncharged, mark_to_stop, refresh, wish_to_stop, withdraw
from .endings import Endings
from .files import Files
from .lookup import Lookup

log = logging.getLogger(__name__)


class Stopping:
    def __init__(self, runtime: Runtime, endings: Endings, files: Files, lookup: Lookup) -> None:
        self.runtime, self.endings, self.files, self.lookup = runtime, endings, files, lookup

    # ---- on request

    async def cancel(self, row: SessionCopy, why: str = lifecycle.ON_REQUEST) -> SessionCopy:
        """Stops a session with all its copies: the wish is written first, then carried out until its centres confirm
        the end."""
        session = row.session
        if not session.live:
            return row
        copies = await self.runtime.db.run(self._wish_to_stop, session.id, why)
        for told in {session.id, *(copy.session for copy in copies)}:
            self.runtime.signals.changes.notify(told)
        for copy in copies:
            if copy.job_id:
                await self.cancel_job(copy)
            else:
                self.runtime.signals.launch(copy.session, copy.number, True)
        return await self.lookup.get(session.id)

    def _wish_to_stop(self, tx: Tx, session_id: str, why: str) -> list[Copy]:
        now = self.runtime.clock()
        row = session_rows.get(tx, session_id)
        if row:
            wish_to_stop(tx, row.session, why, "Stopping." if why == lifecycle.ON_REQUEST else why, now)
        going = [copy for _, copy in session_rows.copies_of(tx, session_id) if copy.live]
        # the next session would otherwise take over the name and continue
        behind = session_rows.next_in_line(tx, session_id)
        if behind and behind.session.live and behind.session.in_line:
            going += self._wish_to_stop(tx, behind.session.id, why)
        return going

    async def give_up(self, copy: Copy, why: str) -> None:
        """Stops a copy that its centre can never start, and the session too if that is its only copy."""
        copies = await self.runtime.db.run(self._give_up, copy, why)
        self.runtime.signals.changes.notify(copy.session)
        for one in copies:
            self.stop_copy(one)

    def _give_up(self, tx: Tx, copy: Copy, why: str) -> list[Copy]:
        copies, now = [one for _, one in session_rows.copies_of(tx, copy.session)], self.runtime.clock()
        going = [one for one in copies if one.live and not one.cancelled_at]
        fresh = next((one for one in going if one.number == copy.number), None)
        if fresh is None:
            return []
        if len(going) == 1:
            return self._wish_to_stop(tx, copy.session, why)
        mark_to_stop(tx, fresh, why, now)
        session_rows.add_event(tx, copy.session, now, why)
        refresh(tx, copy.session)
        return [one for _, one in session_rows.copies_of(tx, copy.session) if one.number == copy.number]

    def stop_copy(self, copy: Copy) -> None:
        """Stops this copy in the background."""
        if copy.job_id:
            self.runtime.tasks.own(self.cancel_job(copy))
        else:
            self.runtime.signals.launch(copy.session, copy.number, True)

    async def cancel_job(self, copy: Copy) -> None:
        centre = self.runtime.centres[copy.centre]
        try:
            name = names.job_name(copy)  # by name: a centre that lost its state gives ids out again
            if job_id := await centre.find(name, account=copy.account):
                await centre.cancel([job_id], account=copy.account)
        except CentreError as error:
            log.warning("%s: cancelling job %s failed, will be tried again: %s", copy.centre, copy.job_id, error)
        self.runtime.signals.look_soon(copy.centre, 0.3)

    # ---- without a charge

    async def withdrawn(self, copy: Copy, why: str) -> None:
        """Ends a copy for which the centre certainly has no job and will not be asked for one."""
        await self.runtime.db.run(self._withdrawn, copy, why)
        self.runtime.signals.changes.notify(copy.session)
        await self.files.scrub(copy)

    def _withdrawn(self, tx: Tx, copy: Copy, why: str) -> None:
        withdraw(tx, copy, why, self.runtime.clock())
        rows = session_rows.copies_of(tx, copy.session)
        if rows[0].session.live and not any(one.copy.live for one in rows):
            self.endings.end_session(tx, copy.session, why)
        refresh(tx, copy.session)

    async def write_off_all(self, session_id: str, why: str) -> None:
        """Does the same as `write_off` for every copy of a session, at an operator's request."""
        for _, copy in await self.runtime.db.run(session_rows.copies_of, session_id):
            if copy.live or copy.used is None:
                await self.write_off(copy, why)

    async def write_off(self, copy: Copy, why: str) -> None:
        """Ends a copy that its centre no longer knows, without a charge. If its job appears again, the job is
        stopped."""
        await self.runtime.db.run(self._write_off, copy, why)
        self.runtime.signals.changes.notify(copy.session)

    def _write_off(self, tx: Tx, copy: Copy, why: str) -> None:
        now = self.runtime.clock()
        fresh = session_rows.get(tx, copy.session, copy.number)
        # the copy ended, and its usage record will never come
        if fresh and not fresh.copy.live and fresh.copy.used is None:
            session_rows.add_event(tx, copy.session, now, why)
            charging.settle_without(tx, fresh.copy, now)
        # the centre knows the job again
        if fresh is None or not fresh.copy.live or (copy.forgotten_since and not fresh.copy.forgotten_since):
            return
        close_uncharged(tx, fresh.copy, "written off" if fresh.copy.job_id else "withdrawn", why, now)
        self.endings.copy_ended(tx, fresh, why, JobStatus(state=JobState.CANCELLED, seen_at=now))
        refresh(tx, copy.session)
