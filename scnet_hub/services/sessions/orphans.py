"""Reconciles one centre: finds jobs there that bear a session's name and that no session has, at every look.

An orphan of a session that has ended is stopped automatically, in the name of the account that ran it. An orphan
without a row (of another hub, or of a lost database) is only shown: its centre's administrators or the operators have
to stop it. Sessions without a job are listed by `reports`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime

from ...adapters.db.database import Tx
from ...adapters.db.queries import sessions as session_rows
from ...domain.centres.orphan import STOPPED, STRANGE, Orphan
from ...domain.jobs import JobStatus
from ...domain.sessions import names
from ...domain.sessions.records import Copy
from ...errors import CentreError
from ..runtime import Runtime

log = logging.getLogger(__name__)


class Orphans:
    """The orphans of one centre. A job counts from the second look: at the first, its submission may not have been
    answered yet."""

    def __init__(self, runtime: Runtime, centre: str) -> None:
        self.runtime, self.centre = runtime, centre
        self.found: tuple[Orphan, ...] = ()
        self._since: dict[str, datetime] = {}
        self._stopping: set[str] = set()

    async def compare(self, listed: Mapping[str, JobStatus], copies: Sequence[Copy]) -> None:
        """Compares the centre's whole queue, by job id, with our live copies there."""
        expected = {copy.job_id: names.job_name(copy) for copy in copies}
        strays = {
            job: status for job, status in listed.items() if not status.state.ended and expected.get(job) != status.name
        }
        ours = {job: status for job, status in strays.items() if names.copy_of(status.name)}
        known = await self.runtime.db.query(_copies, ours)
        suspects = {job: status for job, status in ours.items() if not _expected(known.get(job), job, self.centre)}
        seen_before, self._since = self._since, {}
        for job, status in suspects.items():
            self._since[job] = seen_before.get(job, status.seen_at)
        self.found = tuple(
            self._orphan(job, status, known.get(job)) for job, status in suspects.items() if job in seen_before
        )
        for orphan in self.found:
            copy = known.get(orphan.job_id)
            if copy and orphan.rule == STOPPED and orphan.job_id not in self._stopping:
                self._stopping.add(orphan.job_id)
                self.runtime.tasks.own(self._stop(copy, orphan))

    def _orphan(self, job: str, status: JobStatus, copy: Copy | None) -> Orphan:
        over = copy is not None and copy.centre == self.centre
        return Orphan(
            centre=self.centre, job_id=job, name=status.name, state=status.state.value, since=self._since[job],
            session=copy.session if copy and over else "", rule=STOPPED if over else STRANGE,
        )  # fmt: skip

    async def _stop(self, copy: Copy, orphan: Orphan) -> None:
        try:
            await self.runtime.centres[self.centre].cancel([orphan.job_id], account=copy.account)
        except CentreError as error:
            log.warning(
                "%s: orphan %s (%s) cannot be stopped, will be tried again: %s",
                self.centre,
                orphan.job_id,
                orphan.name,
                error,
            )
        finally:
            self._stopping.discard(orphan.job_id)


def _copies(tx: Tx, jobs: Mapping[str, JobStatus]) -> dict[str, Copy]:
    """Returns, by job id, the copy that each job's name refers to, where there is one."""
    named = {job: names.copy_of(status.name) for job, status in jobs.items()}
    found = {job: session_rows.get(tx, *name) for job, name in named.items() if name}
    return {job: row.copy for job, row in found.items() if row}


def _expected(copy: Copy | None, job: str, centre: str) -> bool:
    """Tells whether this job is where it should be: the job of a live copy, or of a copy whose submission was not
    answered yet."""
    return copy is not None and copy.live and copy.centre == centre and copy.job_id in ("", job)
