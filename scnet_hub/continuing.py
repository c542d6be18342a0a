"""Continuing: the next session of a Lab whose walltime ends, asked for before it does, at the same centre and so in the same folder.

It is a session of its own, with its own hold and charge. It stands in line until it listens, or until the other has ended; then it
has the name, the address follows, and the other is stopped.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from . import sessions
from .db import Tx
from .db import sessions as stored
from .db.sessions import SessionRow
from .errors import Refused
from .stops import should_stop

if TYPE_CHECKING:
    from .federation import Federation

CONTINUED = "Continued in the next session."


class Continuing:
    def __init__(self, federation: Federation) -> None:
        self.federation = federation

    async def next(self, row: SessionRow) -> tuple[SessionRow, bool]:
        """The session that continues `row`, and whether it is new. Raises Refused."""
        fed = self.federation
        new_id = sessions.new_id()
        successor = await fed.db.run(self._begin, row.id, new_id)
        if isinstance(successor, Refused):
            raise successor
        if successor.id == new_id:
            fed.launches.begin(successor.id, successor.number)
            fed.changes.tell(row.id)
        return successor, successor.id == new_id

    def _begin(self, tx: Tx, session_id: str, new_id: str) -> SessionRow | Refused:
        fed = self.federation
        row = stored.get(tx, session_id)
        if (there := stored.next_in_line(tx, session_id)) and there.live:
            return there
        if row is None or row.kind != "lab" or row.state != "ready" or row.in_line:
            raise Refused("Only a JupyterLab session that is running can be continued.", hint="Start a new one.", code="not-running")
        wanted = replace(sessions.request_of(row.request), centre=row.centre)
        decision, _ = fed.decisions.decide(tx, wanted, instead_of=row.id)
        if refused := fed.refusal(tx, decision, instead_of=row.id):
            return refused
        assert decision.best is not None
        fed.insert(tx, new_id, decision, {**row.payload}, continues=row.id, in_line=True)
        stored.say(tx, row.id, fed.clock(), f"The next session is on its way, in the same folder: {decision.best.offer.title}.")
        fresh = stored.get(tx, new_id)
        assert fresh is not None
        return fresh

    def take_over(self, tx: Tx, row: SessionRow) -> list[SessionRow]:
        """The session of this copy is ready: it has the name from now on. Answers what must stop."""
        session = stored.get(tx, row.id)
        assert session is not None
        if not session.in_line:
            return []
        before = stored.get(tx, session.continues)
        going = [self._to_stop(tx, copy) for copy in stored.copies_of(tx, session.continues) if copy.job_live]
        if before and before.live:
            self.federation.end_session(tx, before.id, CONTINUED, next_in_line=False)
        stored.change(tx, session.id, in_line=False)
        return going

    def _to_stop(self, tx: Tx, copy: SessionRow) -> SessionRow:
        should_stop(tx, copy, CONTINUED, self.federation.clock())
        after = stored.get(tx, copy.id, copy.number)
        assert after is not None
        return after

    @staticmethod
    def heir(tx: Tx, row: SessionRow) -> SessionRow:
        """The session that has the name of `row` now, if that is over: the hub may not have heard of it yet."""
        while not row.live and (behind := stored.next_in_line(tx, row.id)) and not behind.in_line:
            row = behind
        return row

    @staticmethod
    def inherit(tx: Tx, session_id: str) -> None:
        """That session is over: the one in line behind it has the name now, wherever it is."""
        behind = stored.next_in_line(tx, session_id)
        if behind and behind.live and behind.in_line and not behind.cancelled_at:
            stored.change(tx, behind.id, in_line=False)
