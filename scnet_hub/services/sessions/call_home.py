"""Takes the calls home of sessions. The nonce of a copy proves the caller; the first copy that is ready leads.

The session's other copies are then told to stop, and are refused if they call home later. The hub reaches a session
only at its centre's address for sessions, in its centre's node networks, or on the node that the scheduler reports; any
other address that a session sends is refused.
"""

from __future__ import annotations

from typing import Any

from ...adapters.db.database import Tx
from ...adapters.db.queries import sessions as stored
from ...domain import hosts
from ...domain.sessions import lifecycle, names
from ...domain.sessions.records import SessionRow
from ...errors import NotFound, Refused, Unreachable
from ..runtime import Runtime
from . import second_chances
from .continuation import Continuation
from .copies import mark_to_stop, refresh
from .endings import Endings
from .stopping import Stopping

Json = dict[str, Any]


class CallHome:
    def __init__(self, runtime: Runtime, endings: Endings, stopping: Stopping, continuation: Continuation) -> None:
        self.runtime, self.endings, self.stopping, self.continuation = runtime, endings, stopping, continuation

    async def call_home(self, session_id: str, news: Json) -> None:
        """Takes the message that a copy's first process sends. Raises Refused if the nonce is not that session's, or if
        the copy should no longer run."""
        row = await self.runtime.db.query(self._who, session_id, str(news.get("nonce", "")))
        address: Json = {}
        if news["phase"] == "listening":
            there = self._check_host(row, str(news["host"]))
            said = f"{there}:{news['port']}"
            await self.runtime.db.run(self._claim, row, said)
            host, port = await self.runtime.centres[row.centre].transport.forward(there, int(news["port"]))
            address = {"host": host, "port": port, "address": said}
        ready = row.kind != "lab" or news["phase"] == "listening"
        surplus = await self.runtime.db.run(self.came_home, row, address, ready, str(news["node"])[:200])
        if ready:
            self.endings.start_worked(row.centre)
        self.runtime.signals.changes.notify(row.id)
        self.runtime.signals.look_soon(row.centre, 2.0)
        for other in surplus:
            self.runtime.signals.changes.notify(other.id)
            self.stopping.stop_copy(other)

    def _who(self, tx: Tx, session_id: str, nonce: str) -> SessionRow:
        rows = stored.copies_of(tx, session_id)
        if not rows:
            raise NotFound(f"There is no session {session_id[:40]!r}.", code="unknown-session")
        row = next((row for row in rows if names.nonce_matches(row, nonce)), None)
        if row is None:
            raise Refused("The nonce is not this session's.", code="bad-nonce")
        return _wanted(row)

    def _claim(self, tx: Tx, row: SessionRow, address: str) -> None:
        """Keeps the copy's first address. The address is fixed before a connection to it is opened. Raises Refused for
        another one."""
        fresh = _wanted(stored.get(tx, row.id, row.number))
        if fresh.address not in ("", address):
            raise Refused("Another copy of this session is already running.", code="not-first")
        stored.change(tx, row.id, row.number, address=address)

    def came_home(self, tx: Tx, row: SessionRow, address: Json, ready: bool, node: str) -> list[SessionRow]:
        """Re-reads the rows, so a session that has ended or was stopped is not revived. Returns the copies that must
        stop now: the session's other copies, and those of the session that it replaces. `node` is the name that the
        session itself sends and is only shown to people; the hub connects to the scheduler's."""
        now = self.runtime.clock()
        fresh = _wanted(stored.get(tx, row.id, row.number))
        if address and fresh.port and (fresh.host, fresh.port) != (address["host"], address["port"]):
            raise Refused("Another copy of this session is already running.", code="not-first")
        event = "listens" if ready else "runs"
        change = {
            **address, "started_at": fresh.started_at or now, "reason": "", "place_in_queue": 0,
            "unknown_since": None, "unknown_why": "", "forgotten_since": None,
            "job_state": lifecycle.step(fresh.job_state, event),
        }  # fmt: skip
        stored.change(tx, row.id, row.number, **change)
        surplus: list[SessionRow] = []
        if ready and not fresh.ready_at:
            rows = stored.copies_of(tx, row.id)
            stored.change(tx, row.id, ready_at=now, lead=row.number)
            stored.say(tx, row.id, now, _ready_words(rows, row, fresh.node or node))
            surplus = [self._surplus(tx, other, row) for other in rows if other.number != row.number and other.job_live]
            surplus += self.continuation.take_over(tx, row)
        elif not ready and fresh.job_state != change["job_state"]:
            stored.say(tx, row.id, now, f"Running on {fresh.node or node}.")
        refresh(tx, row.id)
        return surplus

    def _surplus(self, tx: Tx, other: SessionRow, winner: SessionRow) -> SessionRow:
        if not other.job_cancelled_at:
            why = f"A copy at {winner.centre} was ready first."
            mark_to_stop(tx, other, why, self.runtime.clock())
        after = stored.get(tx, other.id, other.number)
        assert after is not None
        return after

    def _check_host(self, row: SessionRow, host: str) -> str:
        """Returns the host to which the hub may connect. Raises Refused with the setting that is missing in the
        centre's page."""
        spec = self.runtime.centres[row.centre].spec
        if spec.network.nodes:
            return hosts.in_networks(host, spec.network.nodes, listen=spec.network.listen, centre=row.centre)
        wanted = spec.session.host or row.node
        if not wanted:
            self.runtime.signals.look_soon(row.centre, 0.0)
            raise Unreachable(
                f"{row.centre} has not said yet on which node this session runs.", hint="Call again in a moment."
            )
        return hosts.on_node(host, wanted, domains=lambda: self._domains(row.centre), centre=row.centre)

    def _domains(self, centre: str) -> set[str]:
        """Returns the domains in the centre's page, those of its login nodes, and those that its scheduler gives to
        other nodes."""
        known = self.runtime.load.centres[centre]
        partitions = known.snapshot.partitions.values() if known.snapshot else ()
        nodes = {node.name for load in partitions for node in load.nodes}
        return {*hosts.domains_of(nodes), *known.spec.domains}


def _wanted(row: SessionRow | None) -> SessionRow:
    """Returns the row. Raises Refused for a copy that should no longer run."""
    if row is None or not row.live or row.cancelled_at or not row.job_live or row.job_cancelled_at:
        raise Refused("This session is over or being stopped.", code="over")
    if row.ready_at and not row.leads:
        raise Refused("Another copy of this session is already running.", code="not-first")
    return row


def _ready_words(rows: list[SessionRow], winner: SessionRow, node: str) -> str:
    """Returns the event line, with the reason if the session is not at the place that it was first submitted to."""
    waited = next((row for row in rows if row.number != winner.number and row.job_live), None)
    moved = f" Moved from {waited.centre} to {winner.centre}: {second_chances.grown_words(waited)}." if waited else ""
    return f"Ready on {node}.{moved}"
