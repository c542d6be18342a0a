"""Launches copies: a copy's row becomes exactly one job at its centre, or it becomes certain that the centre has no
such job.

The row is written before anything is sent (law 2). After a submission that may have reached the centre, the job is
first looked up by name, whoever continues: this task, a restarted broker, or a stop. So a lost answer never makes a
second job.
"""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass

from ...adapters.db.database import Tx
from ...adapters.db.queries import sessions as session_rows
from ...domain.sessions import lifecycle, names, start_file
from ...domain.sessions.records import Copy, SessionCopy
from ...errors import CentreError, NotStored, Refused, Rejected, Unreachable
from ..runtime import Runtime
from .copies import refresh
from .first_start import FirstStart
from .lookup import Lookup
from .second_chances import SecondChances
from .stopping import Stopping

log = logging.getLogger(__name__)
PAUSE, LONGEST_PAUSE = 1.0, 30.0
ASKED_IN_VAIN = 2  # times that a centre may be unreachable before a session that can go to another centre does so


@dataclass(slots=True)
class Attempt:
    """The progress of a launch: whether the centre may already have its job, and how often the centre was
    unreachable."""

    unsure: bool
    in_vain: int = 0
    pause: float = PAUSE


class Launcher:
    """Runs launches, at most one at a time for each copy."""

    def __init__(
        self,
        runtime: Runtime,
        addresses: start_file.Addresses,
        stopping: Stopping,
        second_chances: SecondChances,
        first_start: FirstStart,
        lookup: Lookup,
    ) -> None:
        self.runtime, self.addresses, self.stopping = runtime, addresses, stopping
        self.second_chances, self.first_start, self.lookup = second_chances, first_start, lookup
        self._going: set[tuple[str, int]] = set()

    def begin(self, session_id: str, number: int, again: bool = False) -> None:
        """Starts a launch that continues until its outcome is certain. `again`: the job may have been submitted
        before."""
        if (session_id, number) not in self._going:
            self._going.add((session_id, number))
            self.runtime.tasks.own(self._until_sure(session_id, number, Attempt(unsure=again)))

    async def _until_sure(self, session_id: str, number: int, attempt: Attempt) -> None:
        try:
            while not await self._sure(session_id, number, attempt):
                await asyncio.sleep(attempt.pause)
                attempt.pause = min(attempt.pause * 2, LONGEST_PAUSE)
        finally:
            self._going.discard((session_id, number))

    async def _sure(self, session_id: str, number: int, attempt: Attempt) -> bool:
        """Runs one round. A job that cannot be recorded now is found by its name in the next round."""
        try:
            row = await self._wanted(session_id, number)
            return row is None or await self._round(row, attempt)
        except NotStored as error:
            log.warning("session %s: %s Trying again.", session_id, error)
            return False
        except Exception:  # without another round the session would wait for ever
            log.exception("session %s: a round of its launch failed", session_id)
            attempt.unsure = True
            return False

    async def _round(self, row: SessionCopy, attempt: Attempt) -> bool:
        copy = row.copy
        try:
            job_id = await self._job(row, attempt)
        except (Rejected, Refused) as error:  # Refused: the centre's dialect cannot express such a job
            await self._refused(copy, str(error))
        except CentreError as error:
            attempt.in_vain += 1
            if not attempt.unsure and attempt.in_vain >= ASKED_IN_VAIN and await self._gone_elsewhere(copy, error):
                return True
            await self._asking_again(copy, error)
            return False
        else:
            await (self._accepted(copy, job_id) if job_id else self.stopping.withdrawn(copy, lifecycle.ON_REQUEST))
        return True

    async def _job(self, row: SessionCopy, attempt: Attempt) -> str:
        """Returns the job's id, found or new; "" if there is no job and it is no longer wanted."""
        copy = row.copy
        if attempt.unsure and (found := await self._found(copy)):
            return found
        if _unwanted(row):
            return ""
        if copy.started_at:
            raise Unreachable(f"{copy.centre} has no job of this session, which has called home from there")
        await self._prepare(row)
        # a stop may have arrived while the centre was asked
        if _unwanted(await self._wanted(copy.session, copy.number)):
            return ""
        attempt.unsure = True
        centre = self.runtime.centres[copy.centre]
        return await centre.submit(start_file.job_spec(centre.spec, row), account=copy.account)

    async def _wanted(self, session_id: str, number: int) -> SessionCopy | None:
        row = await self.runtime.db.run(session_rows.get, session_id, number)
        return row if row and row.copy.live and not row.copy.job_id else None

    async def _found(self, copy: Copy) -> str | None:
        """Returns the job of that name, once no submission of it can still be under way. A centre that refuses the
        question counts as unreachable."""
        try:
            return await self.runtime.centres[copy.centre].submitted(names.job_name(copy), account=copy.account)
        except Rejected as error:
            raise Unreachable(f"{copy.centre} refuses to list our jobs: {error}") from error

    async def _prepare(self, row: SessionCopy) -> None:
        copy = row.copy
        centre = self.runtime.centres[copy.centre]
        await self.first_start.ask_first_beside_others(row)
        start = self.addresses.start_file(centre.spec, row, await centre.transport.hub_url())
        await centre.put(
            start_file.path(centre.spec, copy, "start.json"), json.dumps(start).encode(), account=copy.account
        )

    async def _accepted(self, copy: Copy, job_id: str) -> None:
        fresh = await self.runtime.db.run(self._has_job, copy, job_id)
        self.runtime.signals.changes.notify(copy.session)
        if _unwanted(fresh) or not fresh.copy.live:
            await self.stopping.cancel_job(fresh.copy)
        self.runtime.signals.look_soon(copy.centre, 1.0)

    def _has_job(self, tx: Tx, copy: Copy, job_id: str) -> SessionCopy:
        """Records the job's id. The copy may have called home before its centre's answer arrived."""
        now = self.runtime.clock()
        fresh = session_rows.get(tx, copy.session, copy.number)
        assert fresh is not None
        state = lifecycle.step(fresh.copy.state, "accepted")
        session_rows.update_copy(tx, copy.session, copy.number, state=state, job_id=job_id, submitted_at=now, reason="")
        session_rows.add_event(
            tx, copy.session, now, f"Submitted to {copy.centre}, partition {copy.partition}, as job {job_id}."
        )
        refresh(tx, copy.session)
        after = session_rows.get(tx, copy.session, copy.number)
        assert after is not None
        return after

    async def _refused(self, copy: Copy, why: str) -> None:
        said = f"{copy.centre} refused the job: {why}"
        if not await self.second_chances.instead(copy, "refused", f"{copy.centre} refused the job ({why})"):
            await self.stopping.withdrawn(copy, said)

    async def _gone_elsewhere(self, copy: Copy, error: CentreError) -> bool:
        """Moves the session to another centre. This centre certainly never took the job, so there is no second job."""
        return await self.second_chances.instead(copy, "unreachable", f"{copy.centre} did not answer ({error})")

    async def _asking_again(self, copy: Copy, error: CentreError) -> None:
        said = f"{copy.centre} did not answer ({error}); asking again."
        await self.lookup.change_copy(copy, {"reason": str(error)}, said)


def _unwanted(row: SessionCopy | None) -> bool:
    return row is None or not row.session.live or bool(row.session.cancelled_at or row.copy.cancelled_at)
