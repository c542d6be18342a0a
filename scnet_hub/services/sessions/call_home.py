"""Takes the calls home of sessions. The nonce of a copy proves the caller; the first copy that is ready leads.

The session's other copies are then told to stop, and are refused if they call home later. The hub reaches a session
only at its centre's address for sessions, in its centre's node networks, or on the node that the scheduler reports; any
other address that a session sends is refused.
"""

from __future__ import annotations

from typing import Any

from ...adapters.db.database import Tx
from ...adapters.db.queries import sessions as session_rows
from ...domain import hosts
from ...domain.sessions import lifecycle, names
from ...domain.sessions.records import Copy, SessionCopy
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
        session, copy = row
        address: Json = {}
        if news["phase"] == "listening":
            there = self._check_host(copy, str(news["host"]))
            said = f"{there}:{news['port']}"
            await self.runtime.db.run(self._claim, copy, said)
            host, port = await self.runtime.centres[copy.centre].transport.forward(there, int(news["port"]))
            address = {"host": host, "port": port, "address": said}
        ready = session.kind != "lab" or news["phase"] == "listening"
        surplus = await self.runtime.db.run(self.came_home, copy, address, ready, str(news["node"])[:200])
        if ready:
            self.endings.start_worked(copy.centre)
        self.runtime.signals.changes.notify(session.id)
        self.runtime.signals.look_soon(copy.centre, 2.0)
        for other in surplus:
            self.runtime.signals.changes.notify(other.session)
            self.stopping.stop_copy(other)

    def _who(self, tx: Tx, session_id: str, nonce: str) -> SessionCopy:
        rows = session_rows.copies_of(tx, session_id)
        if not rows:
            raise NotFound(f"There is no session {session_id[:40]!r}.", code="unknown-session")
        row = next((row for row in rows if names.nonce_matches(row.copy, nonce)), None)
        if row is None:
            raise Refused("The nonce is not this session's.", code="bad-nonce")
        return _wanted(row)

    def _claim(self, tx: Tx, copy: Copy, address: str) -> None:
        """Keeps the copy's first address. The address is fixed before a connection to it is opened. Raises Refused for
        another one."""
        fresh = _wanted(session_rows.get(tx, copy.session, copy.number))
        if fresh.copy.address not in ("", address):
            raise Refused("Another copy of this session is already running.", code="not-first")
        session_rows.update_copy(tx, copy.session, copy.number, address=address)

    def came_home(self, tx: Tx, copy: Copy, address: Json, ready: bool, node: str) -> list[Copy]:
        """Re-reads the rows, so a session that has ended or was stopped is not revived. Returns the copies that must
        stop now: the session's other copies, and those of the session that it replaces. `node` is the name that the
        session itself sends and is only shown to people; the hub connects to the scheduler's."""
        now = self.runtime.clock()
        session, fresh = _wanted(session_rows.get(tx, copy.session, copy.number))
        if address and fresh.port and (fresh.host, fresh.port) != (address["host"], address["port"]):
            raise Refused("Another copy of this session is already running.", code="not-first")
        event = "listens" if ready else "runs"
        change = {
            **address, "started_at": fresh.started_at or now, "reason": "", "place_in_queue": 0,
            "unknown_since": None, "unknown_why": "", "forgotten_since": None,
            "state": lifecycle.step(fresh.state, event),
        }  # fmt: skip
        session_rows.update_copy(tx, copy.session, copy.number, **change)
        surplus: list[Copy] = []
        if ready and not session.ready_at:
            others = [
                one for _, one in session_rows.copies_of(tx, copy.session) if one.number != copy.number and one.live
            ]
            session_rows.update(tx, copy.session, ready_at=now, lead=copy.number)
            session_rows.add_event(tx, copy.session, now, _ready_words(others, copy, fresh.node or node))
            surplus = [self._surplus(tx, other, copy) for other in others]
            surplus += self.continuation.take_over(tx, copy.session)
        elif not ready and fresh.state != change["state"]:
            session_rows.add_event(tx, copy.session, now, f"Running on {fresh.node or node}.")
        refresh(tx, copy.session)
        return surplus

    def _surplus(self, tx: Tx, other: Copy, winner: Copy) -> Copy:
        if not other.cancelled_at:
            why = f"A copy at {winner.centre} was ready first."
            mark_to_stop(tx, other, why, self.runtime.clock())
        after = session_rows.get(tx, other.session, other.number)
        assert after is not None
        return after.copy

    def _check_host(self, copy: Copy, host: str) -> str:
        """Returns the host to which the hub may connect. Raises Refused with the setting that is missing in the
        centre's page."""
        spec = self.runtime.centres[copy.centre].spec
        if spec.network.nodes:
            return hosts.in_networks(host, spec.network.nodes, listen=spec.network.listen, centre=copy.centre)
        wanted = spec.session.host or copy.node
        if not wanted:
            self.runtime.signals.look_soon(copy.centre, 0.0)
            raise Unreachable(
                f"{copy.centre} has not said yet on which node this session runs.", hint="Call again in a moment."
            )
        return hosts.on_node(host, wanted, domains=lambda: self._domains(copy.centre), centre=copy.centre)

    def _domains(self, centre: str) -> set[str]:
        """Returns the domains in the centre's page, those of its login nodes, and those that its scheduler gives to
        other nodes."""
        known = self.runtime.states.centres[centre]
        partitions = known.snapshot.partitions.values() if known.snapshot else ()
        nodes = {node.name for load in partitions for node in load.nodes}
        return {*hosts.domains_of(nodes), *known.spec.domains}


def _wanted(row: SessionCopy | None) -> SessionCopy:
    """Returns the row. Raises Refused for a copy that should no longer run."""
    if row is None or any(not one.live or one.cancelled_at for one in row):
        raise Refused("This session is over or being stopped.", code="over")
    if row.session.ready_at and not row.leads:
        raise Refused("Another copy of this session is already running.", code="not-first")
    return row


def _ready_words(others: list[Copy], winner: Copy, node: str) -> str:
    """Returns the event line, with the reason if the session is not at the place that it was first submitted to:
    `others` are its other live copies."""
    if not others:
        return f"Ready on {node}."
    waited = others[0]
    return f"Ready on {node}. Moved from {waited.centre} to {winner.centre}: {second_chances.grown_words(waited)}."
