"""Reads one session, waits for its changes, and changes it."""

from __future__ import annotations

import asyncio
from typing import Any

from ...adapters.db.database import Tx
from ...adapters.db.queries import sessions as session_rows
from ...domain.sessions.records import Copy, SessionCopy
from ...errors import NotFound
from ..runtime import Runtime
from ..signals import within

Json = dict[str, Any]


class Lookup:
    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    async def get(self, session_id: str) -> SessionCopy:
        """Returns the session. Raises NotFound."""
        row = await self.runtime.db.query(session_rows.get, session_id)
        if row is None:
            raise NotFound(
                f"There is no session {session_id!r}.", hint="`scnet sessions` lists yours.", code="unknown-session"
            )
        return row

    async def wait(self, session_id: str, seen: int, seconds: float) -> SessionCopy:
        """Returns the session as soon as its version is not `seen`, at the latest after `seconds`."""
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            changed = self.runtime.signals.changes.event(session_id)
            row = await self.get(session_id)
            left = deadline - asyncio.get_running_loop().time()
            if row.session.version != seen or left <= 0:
                return row
            await within(changed, left)

    async def change_copy(self, copy: Copy, change: Json, said: str = "") -> None:
        """Sets columns of a copy."""
        await self.runtime.db.run(self._change_copy, copy, change, said)
        self.runtime.signals.changes.notify(copy.session)

    def _change_copy(self, tx: Tx, copy: Copy, change: Json, said: str) -> None:
        if change:
            session_rows.update_copy(tx, copy.session, copy.number, **change)
        if said:
            session_rows.add_event(tx, copy.session, self.runtime.clock(), said)
