"""Continues a Lab whose walltime ends: starts its next session before the end, at the same centre and so in the same
folder.

The next session has its own hold and charge. It waits in line until its server listens or the first session has ended.
Then it takes over the name and the address, and the first session is stopped.
"""

from __future__ import annotations

from dataclasses import replace

from ...adapters.db.database import Tx
from ...adapters.db.queries import sessions as stored
from ...display.session_states import READY
from ...domain.sessions import names
from ...domain.sessions.records import SessionRow
from ...errors import Refused
from .. import tokens
from ..placement.placing import Placing
from ..runtime import Runtime
from .copies import Copies, mark_to_stop
from .endings import Endings
from .submission import Submission

CONTINUED = "Continued in the next session."


class Continuation:
    def __init__(
        self, runtime: Runtime, placing: Placing, submission: Submission, copies: Copies, endings: Endings
    ) -> None:
        self.runtime, self.placing, self.submission, self.copies, self.endings = (
            runtime,
            placing,
            submission,
            copies,
            endings,
        )

    async def next(self, row: SessionRow) -> tuple[SessionRow, bool]:
        """Returns the session that continues `row`, and whether it is new. Raises Refused."""
        new_id = tokens.new_id()
        successor = await self.runtime.db.run(self._begin, row.id, new_id)
        if isinstance(successor, Refused):
            raise successor
        if successor.id == new_id:
            self.runtime.signals.launch(successor.id, successor.number, False)
            self.runtime.signals.changes.notify(row.id)
        return successor, successor.id == new_id

    def _begin(self, tx: Tx, session_id: str, new_id: str) -> SessionRow | Refused:
        row = stored.get(tx, session_id)
        if (there := stored.next_in_line(tx, session_id)) and there.live:
            return there
        if row is None or row.kind != "lab" or row.state != READY or row.in_line:
            raise Refused(
                "Only a JupyterLab session that is running can be continued.",
                hint="Start a new one.",
                code="not-running",
            )
        wanted = replace(names.request_of(row.request), centre=row.centre)
        decision, _ = self.placing.decide(tx, wanted, instead_of=row.id)
        if refused := self.submission.refusal(tx, decision, instead_of=row.id):
            return refused
        assert decision.best is not None
        self.copies.insert(tx, new_id, decision, {**row.payload}, continues=row.id, in_line=True)
        stored.say(
            tx,
            row.id,
            self.runtime.clock(),
            f"The next session is on its way, in the same folder: {decision.best.offer.title}.",
        )
        fresh = stored.get(tx, new_id)
        assert fresh is not None
        return fresh

    def take_over(self, tx: Tx, row: SessionRow) -> list[SessionRow]:
        """Gives the name to the session of this copy, which is ready. Returns the copies that must stop."""
        session = stored.get(tx, row.id)
        assert session is not None
        if not session.in_line:
            return []
        before = stored.get(tx, session.continues)
        going = [self._to_stop(tx, copy) for copy in stored.copies_of(tx, session.continues) if copy.job_live]
        if before and before.live:
            self.endings.end_session(tx, before.id, CONTINUED, next_in_line=False)
        stored.change(tx, session.id, in_line=False)
        return going

    def _to_stop(self, tx: Tx, copy: SessionRow) -> SessionRow:
        mark_to_stop(tx, copy, CONTINUED, self.runtime.clock())
        after = stored.get(tx, copy.id, copy.number)
        assert after is not None
        return after
