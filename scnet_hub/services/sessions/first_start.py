"""Makes sure that of a job's copies only the first to start runs its program.

A job that is alone begins without asking, so a broker that is away delays nothing. Before a further copy is submitted,
every other copy is told to ask first: a file beside its start file says so, and its centre's queue, asked after that,
still lists it as waiting, so it reads the file when it starts. So a session other than a Lab that has several live
copies has none that begins without asking (docs/explanation/decisions.md).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from ...adapters.db.database import Tx
from ...adapters.db.queries import sessions as session_rows
from ...display.session_states import QUEUED, SUBMITTED
from ...domain.jobs import JobState
from ...domain.sessions import names, start_file
from ...domain.sessions.records import Copy, SessionCopy
from ...errors import CentreError
from ..runtime import Runtime

log = logging.getLogger(__name__)
SEEN = 2000  # sessions among which one of a centre must have called home


class FirstStart:
    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    async def ask_first(self, copy: Copy) -> None:
        """Tells a copy, before its job starts, to ask whether it is the first. Raises CentreError."""
        centre = self.runtime.centres[copy.centre]
        path = start_file.path(centre.spec, copy, start_file.ASK_FIRST)
        await centre.put(path, start_file.ASK_FIRST_TEXT, account=copy.account)

    async def ask_first_beside_others(self, row: SessionCopy) -> None:
        """Does the same for a copy that is about to be submitted, if another copy may start. Raises CentreError."""
        rows = await self.runtime.db.run(session_rows.copies_of, row.session.id)
        others = [copy for _, copy in rows if copy.live and copy.number != row.copy.number]
        if row.session.kind != "lab" and others:
            await self.ask_first(row.copy)

    async def told(self, copies: Sequence[Copy]) -> bool:
        """Tells all these copies to ask first. Returns whether each will: it was still waiting after it was told."""
        return all(await asyncio.gather(*(self._told(copy) for copy in copies)))

    async def _told(self, copy: Copy) -> bool:
        try:
            await self.ask_first(copy)
            status = (await self.runtime.centres[copy.centre].statuses([copy.job_id]))[copy.job_id]
        except CentreError as error:
            log.info("%s: no further copy, because this one can't be told to ask first: %s", names.label(copy), error)
            return False
        # with a node, its scheduler already starts it: Slurm's CONFIGURING, Grid Engine's "t", OAR's "Launching"
        waits = status.state is JobState.QUEUED and not status.node
        return waits and status.name in ("", names.job_name(copy))


def can_be_told(copy: Copy) -> bool:
    """Tells whether a copy waits at a centre that lists it: nothing of it runs, and its submission is over."""
    waits = copy.state in (SUBMITTED, QUEUED) and bool(copy.job_id)
    return waits and not (copy.node or copy.started_at or copy.cancelled_at or copy.unknown_since)


def callers(tx: Tx) -> set[str]:
    """Returns the centres from which sessions call home: elsewhere, a job could not ask."""
    return session_rows.called_home(tx, SEEN)
