"""Submits requests: a request becomes a placement and a session, which is written with its hold before anything is sent
(law 2).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from ...adapters.db.database import Tx
from ...adapters.db.queries import sessions as session_rows
from ...display.session_states import STOPPING
from ...domain.jobs import JobRequest, JobStatus
from ...domain.placement import placement
from ...domain.placement.placement import Placement
from ...domain.sessions import lifecycle
from ...domain.sessions.records import SessionCopy
from ...errors import BadOption, CentreError, Refused
from ..placement.decision_log import DecisionLog
from ..placement.placing import Placing
from ..runtime import Runtime
from ..signals import within
from ..tokens import new_id
from .copies import Copies
from .endings import Endings

Json = dict[str, Any]
FIRST_LOOK = 10  # seconds that a start waits for a new broker's first look at its centres
STOPPING_FOR = 15  # seconds that a new start waits for the earlier session of its name to end
LOOKS_AT_IT = (1, 4)  # at which of these seconds its centre is asked for that one job, beside the watcher


class Submission:
    """Submits sessions. `on_status` takes in a centre's answer about one copy's job."""

    def __init__(
        self,
        runtime: Runtime,
        placing: Placing,
        decision_log: DecisionLog,
        copies: Copies,
        endings: Endings,
        on_status: Callable[[SessionCopy, JobStatus], Awaitable[None]],
    ) -> None:
        self.runtime, self.placing, self.decision_log = runtime, placing, decision_log
        self.copies, self.endings = copies, endings
        self.on_status = on_status

    async def submit(self, request: JobRequest, payload: Json) -> tuple[SessionCopy, bool]:
        """Returns the live session of this person, kind and name, or a new one, and True if it is new. Raises
        Refused."""
        if existing := await self._existing(request):
            return existing, False
        await self._first_look(request.centre)
        session_id = new_id()
        row = await self.runtime.db.run(self._begin, session_id, request, payload)
        if isinstance(row, Refused):  # not raised in the transaction, so that the refusal is kept in the decision log
            raise row
        if row.session.id == session_id:
            self.runtime.signals.launch(row.session.id, row.copy.number, False)
        return row, row.session.id == session_id

    async def _first_look(self, pinned: str) -> None:
        """Waits for a first look at a centre: just after a broker's start no centre has been contacted, which is no
        reason to refuse."""
        events = [event for name, event in self.runtime.first_looks.items() if pinned in ("", name)]
        if not events or any(event.is_set() for event in events):
            return
        looks = [asyncio.create_task(event.wait()) for event in events]
        await asyncio.wait(looks, timeout=FIRST_LOOK, return_when=asyncio.FIRST_COMPLETED)
        for look in looks:
            look.cancel()

    async def _existing(self, request: JobRequest) -> SessionCopy | None:
        """Returns the live session of that person, kind and name. Waits for a session that is being stopped, so that no
        two of a name run at once, but not for a centre that cannot be reached: that session is set aside, and stopped
        when its centre is back."""
        for second in range(STOPPING_FOR):
            row = await self.runtime.db.query(session_rows.live_one, request.person, request.kind, request.name)
            if row is None or row.session.state != STOPPING:
                return row
            if await self.runtime.db.run(self._set_aside, row.session.id):
                return None
            if second in LOOKS_AT_IT:
                await self._look_at(row)
            await within(self.runtime.signals.changes.event(row.session.id), 1)
        raise Refused(
            "The earlier session of that name is still being stopped.",
            hint="Try again in a few seconds.",
            code="stopping",
        )

    async def _look_at(self, row: SessionCopy) -> None:
        """Asks the centre for this one job now, because a person waits for its end."""
        copy = row.copy
        if not copy.job_id:
            return
        with contextlib.suppress(CentreError):
            status = (await self.runtime.centres[copy.centre].statuses([copy.job_id]))[copy.job_id]
            await self.on_status(row, status)

    def _set_aside(self, tx: Tx, session_id: str) -> bool:
        copies = [copy for _, copy in session_rows.copies_of(tx, session_id) if copy.live]
        centres = self.runtime.states.centres
        away = [copy for copy in copies if copy.unknown_since or centres[copy.centre].failing_since]
        if not copies or len(away) < len(copies):
            return False
        session_rows.add_event(
            tx, session_id, self.runtime.clock(), f"Will be stopped when {copies[0].centre} answers again."
        )
        self.endings.end_session(tx, session_id, lifecycle.ON_REQUEST)
        return True

    def _begin(self, tx: Tx, session_id: str, request: JobRequest, payload: Json) -> SessionCopy | Refused:
        """Does placement, quota, hold and session row in one transaction; another live session of that name wins."""
        if existing := session_rows.live_one(tx, request.person, request.kind, request.name):
            return existing
        if request.ends_with:
            must_live(tx, request)
        decision, _ = self.placing.decide(tx, request)
        if refused := self.refusal(tx, decision):
            return refused
        self.copies.insert(tx, session_id, decision, payload)
        row = session_rows.get(tx, session_id)
        assert row is not None
        return row

    def refusal(self, tx: Tx, decision: Placement, *, instead_of: str = "") -> Refused | None:
        """Returns why a start as decided is refused, and writes it to the decision log; None if the start is
        allowed."""
        try:
            if decision.best is None:
                raise placement.refused(decision)
            self.placing.check(tx, decision, instead_of=instead_of)
        except Refused as error:
            self.decision_log.refused(tx, decision, error)
            return error
        return None


def must_live(tx: Tx, request: JobRequest) -> None:
    """Raises BadOption if the session with which this one is to end is not a live one of the same person."""
    row = session_rows.get(tx, request.ends_with)
    if row is None or row.session.person != request.person or not row.session.live:
        raise BadOption(
            f"ends_with: you have no live session {request.ends_with[:40]!r}.",
            hint="Give the id of a session of yours that runs, or leave the option out.",
            details={"field": "ends_with"},
        )
