"""Extends the leases of live Labs and clusters, and stops those whose project has no credits left.

A look each minute reads only the leases that are due. Each is extended in one transaction with its hold and its
member's cap. A failed look or a broker that was away ends no session: a session is stopped only where the ledger
refused the credits, and not in the first minutes of a broker. `domain/pricing/leases.py` computes how far a lease
reaches and what it costs.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ...adapters.db.database import Tx
from ...adapters.db.queries import sessions as session_rows
from ...domain.pricing import leases
from ...domain.pricing.leases import Run
from ...domain.pricing.tariffs import NoPrice, tariff_of
from ...domain.sessions import names
from ...domain.sessions.records import Session, SessionCopy
from ...errors import Overdrawn, ScnetError
from ...units import Amount, credits
from ..accounting import books
from ..periodic import run_every
from ..projects import allocation_mails, projects
from ..runtime import Runtime
from .stopping import Stopping

log = logging.getLogger(__name__)
EVERY = 60.0  # seconds from one look to the next; leases.LAG and leases.STOPPED are longer
# after a broker starts, in which it stops nothing: credits may have been granted while the broker was away
SPARED = timedelta(minutes=5)
NOTHING = Amount(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Further:
    """A lease extended to `until` for `more` credits, drawn for that centre."""

    until: datetime
    more: Amount
    centre: str


class LeaseKeeper:
    def __init__(self, runtime: Runtime, stopping: Stopping) -> None:
        self.runtime, self.stopping = runtime, stopping
        self._since: datetime | None = None

    @property
    def length(self) -> timedelta:
        return self.runtime.spec.lease.length

    async def run(self) -> None:
        """Runs until cancelled."""
        await run_every(self.once, EVERY, what="looking for leases that are to be extended")

    async def once(self) -> None:
        """Extends the leases that are due, and stops the sessions whose leases are over."""
        now = self.runtime.clock()
        self._since = self._since or now
        for session_id in await self.runtime.db.query(session_rows.leased_by, leases.due_by(now, self.length)):
            try:
                row = await self.runtime.db.run(self._renew, session_id)
            except NoPrice as error:
                log.warning(
                    "session %s: its lease cannot be extended, so the session continues without: %s", session_id, error
                )
            except ScnetError as error:
                log.warning("session %s: its lease cannot be extended now, will be tried again: %s", session_id, error)
            except Exception:  # an error in one session must not stop the others, whose leases are due as well
                log.exception("session %s: extending its lease failed", session_id)
            else:
                if row is not None:
                    self.runtime.signals.changes.notify(row.session.id)
                    await self._stop_if_over(row)

    async def _stop_if_over(self, row: SessionCopy) -> None:
        session, copy = row
        now, end = self.runtime.clock(), leases.stops_at(session.leased_until, session.lease_end_reason)
        spared = self._since is None or now < self._since + SPARED
        if end is not None and now >= end and not spared and copy.started_at and copy.unknown_since is None:
            await self.stopping.cancel(row, f"Stopped because credits ran out. {session.lease_end_reason}")

    # ---- one session

    def _renew(self, tx: Tx, session_id: str) -> SessionCopy | None:
        """Extends the session's lease as far as it should reach or as the credits last, and records why it doesn't
        reach further."""
        now = self.runtime.clock()
        rows = [row for row in session_rows.copies_of(tx, session_id) if row.copy.live and not row.copy.cancelled_at]
        if not rows:
            return None
        session, first = rows[0]
        if not session.live or session.cancelled_at or session.leased_until is None:
            return None
        runs = [self._run(row) for row in rows]
        wish = leases.wish(runs, now, self.length)
        reached, why = None, ""
        try:
            reached = self._hold(tx, session, self._further(rows, runs, wish.until, now), now)
        except Overdrawn as error:
            before = max(session.leased_until or now, now)
            left, more = credits(error.details["available"]), credits(error.details["needed"])
            why = leases.why_not(_who(session, error), left, more, wish.until - before)
            reached = self._as_far_as_it_goes(tx, rows, runs, before, wish.until, left, now)
        change: dict[str, Any] = {}
        if reached:
            whole = wish.whole and reached.until >= wish.until
            change = {"leased_until": None if whole else reached.until, "held": session.held + reached.more.micros}
        started = any(run.started_at for run in runs)
        # while the session waits, this is not shown: more credits may be granted before it runs
        said = why if started else ""
        if said and not session.lease_end_reason:
            session_rows.add_event(tx, session.id, now, f"Its credits are running out: {said}")
            allocation_mails.runs_out(tx, session, first.centre, said, now)
        if session.lease_end_reason and not said:
            session_rows.add_event(tx, session.id, now, "Its credits are sufficient again.")
        if bool(said) != bool(session.lease_end_reason) or (reached and said):
            change["lease_end_reason"] = said
        if change:
            session_rows.update(tx, session.id, **change)
        return session_rows.get(tx, session.id)

    def _run(self, row: SessionCopy) -> Run:
        """Returns the inputs for computing a copy's lease. Raises NoPrice if its centre's page no longer has its
        partition."""
        session, copy = row
        known = self.runtime.states.centres[copy.centre]
        spec = known.spec
        offered = spec.offered(copy.partition)
        if offered is None:
            raise NoPrice(f"The page of {spec.name} no longer has the partition {copy.partition}.")
        memory = session.request["cores"] * spec.session.memory_per_core
        request = known.allotted(names.asked(session), copy.partition)
        return Run(request=request, tariff=tariff_of(spec, offered), memory=memory, started_at=copy.started_at)

    def _further(self, rows: Sequence[SessionCopy], runs: Sequence[Run], until: datetime, now: datetime) -> Further:
        """Returns the extension for the most expensive copy: only one copy is charged, and it may be any of them."""
        zone = self.runtime.spec.time_zone
        costs = [leases.cost(run, now, until, self.length, zone) for run in runs]
        dearest = max(range(len(rows)), key=costs.__getitem__)
        session, copy = rows[dearest]
        return Further(until=until, more=max(NOTHING, costs[dearest] - Amount(session.held)), centre=copy.centre)

    def _hold(self, tx: Tx, session: Session, further: Further, now: datetime) -> Further:
        """Holds the credits of the extension. Raises Overdrawn, and then holds nothing more."""
        if further.more:
            projects.check_cap(tx, session.project, session.person, further.more)
            words = f"its lease until {further.until:%Y-%m-%d %H:%M} UTC"
            books.hold(tx, session.project, session.id, further.more, now, words, centre=further.centre)
        return further

    def _as_far_as_it_goes(
        self,
        tx: Tx,
        rows: Sequence[SessionCopy],
        runs: Sequence[Run],
        before: datetime,
        until: datetime,
        left: Amount,
        now: datetime,
    ) -> Further | None:
        """Extends the lease by some minutes with the credits left; None if they are not enough."""
        end = leases.longest(lambda at: self._further(rows, runs, at, now).more, before, until, left)
        if end is None or not any(run.started_at for run in runs):
            return None
        try:
            return self._hold(tx, rows[0].session, self._further(rows, runs, end, now), now)
        except Overdrawn:  # the project has less than its member may still spend
            return None


def _who(session: Session, error: Overdrawn) -> str:
    if error.code == "over-cap":
        return f"{session.person} may spend of project {session.project} only"
    return f"Project {session.project} has"
