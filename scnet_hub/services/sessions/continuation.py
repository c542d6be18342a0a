"""Continues a Lab whose walltime ends: starts its next session before the end, at the same centre and so in the same
folder.

The next session has its own hold and charge. It waits in line until its server listens or the first session has ended.
Then it takes over the name and the address, and the first session is stopped.
"""

from __future__ import annotations

from dataclasses import replace

from ...adapters.db.database import Tx
from ...adapters.db.queries import sessions as session_rows
from ...display.session_states import READY
from ...domain.sessions import names
from ...domain.sessions.records import Copy, Session, SessionCopy
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
        self.runtime, self.placing, self.submission = runtime, placing, submission
        self.copies, self.endings = copies, endings

    async def next(self, session: Session) -> tuple[SessionCopy, bool]:
        """Returns the session that continues `session`, and whether it is new. Raises Refused."""
        new_id = tokens.new_id()
        successor = await self.runtime.db.run(self._begin, session.id, new_id)
        if isinstance(successor, Refused):
            raise successor
        if successor.session.id == new_id:
            self.runtime.signals.launch(successor.session.id, successor.copy.number, False)
            self.runtime.signals.changes.notify(session.id)
        return successor, successor.session.id == new_id

    def _begin(self, tx: Tx, session_id: str, new_id: str) -> SessionCopy | Refused:
        row = session_rows.get(tx, session_id)
        if (there := session_rows.next_in_line(tx, session_id)) and there.session.live:
            return there
        if row is None or row.session.kind != "lab" or row.session.state != READY or row.session.in_line:
            raise Refused(
                "Only a JupyterLab session that is running can be continued.",
                hint="Start a new one.",
                code="not-running",
            )
        session, copy = row
        wanted = replace(names.request_of(session.request), centre=copy.centre)
        decision, _ = self.placing.decide(tx, wanted, instead_of=session.id)
        if refused := self.submission.refusal(tx, decision, instead_of=session.id):
            return refused
        assert decision.best is not None
        self.copies.insert(tx, new_id, decision, {**session.payload}, continues=session.id, in_line=True)
        session_rows.add_event(
            tx,
            session.id,
            self.runtime.clock(),
            f"The next session is on its way, in the same folder: {decision.best.offer.title}.",
        )
        fresh = session_rows.get(tx, new_id)
        assert fresh is not None
        return fresh

    def take_over(self, tx: Tx, session_id: str) -> list[Copy]:
        """Gives the name to this session, which is ready. Returns the copies that must stop."""
        row = session_rows.get(tx, session_id)
        assert row is not None
        if not row.session.in_line:
            return []
        continued = row.session.continues
        before = session_rows.get(tx, continued)
        going = [self._to_stop(tx, copy) for _, copy in session_rows.copies_of(tx, continued) if copy.live]
        if before and before.session.live:
            self.endings.end_session(tx, continued, CONTINUED, next_in_line=False)
        session_rows.update(tx, session_id, in_line=False)
        return going

    def _to_stop(self, tx: Tx, copy: Copy) -> Copy:
        mark_to_stop(tx, copy, CONTINUED, self.runtime.clock())
        after = session_rows.get(tx, copy.session, copy.number)
        assert after is not None
        return after.copy
