"""Leases, carried out: what Labs and clusters hold is extended while they live, and those that nobody pays for any more are stopped.

A look a minute, at those only that are due; each is extended in one transaction with its hold and its member's cap. What a look can't do,
or a broker that was away did not, ends nothing: a session is stopped only where the books said no, and not in a broker's first minutes.
How far a lease reaches and what it costs is in `ledger/leases.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ...adapters.db.database import Tx
from ...adapters.db.queries import sessions as stored
from ...domain.pricing import leases
from ...domain.pricing.leases import Run
from ...domain.pricing.tariffs import NoPrice, tariff_of
from ...domain.sessions import names
from ...domain.sessions.records import SessionRow
from ...errors import Overdrawn, ScnetError
from ...units import Amount, credits
from ..accounting import books
from ..periodic import rounds
from ..projects import allocation_mails, projects
from ..runtime import Runtime
from .stopping import Stopping

log = logging.getLogger(__name__)
EVERY = 60.0  # seconds from one look to the next; leases.LAG and leases.STOPPED are longer
SPARED = timedelta(minutes=5)  # of a broker's life, in which it stops nothing: somebody may have granted more while it was away
NOTHING = Amount(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Further:
    """A lease that reaches further, for so much more, which is drawn for that centre."""

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
        """Until cancelled."""
        await rounds(self.once, EVERY, what="looking for leases that are to be extended")

    async def once(self) -> None:
        """Extends what is due, and stops what is over."""
        now = self.runtime.clock()
        self._since = self._since or now
        for session_id in await self.runtime.db.query(stored.leased_by, leases.due_by(now, self.length)):
            try:
                row = await self.runtime.db.run(self._renew, session_id)
            except NoPrice as error:
                log.warning("session %s: its lease can't be extended, so it goes on without: %s", session_id, error)
            except ScnetError as error:
                log.warning("session %s: its lease can't be extended now, will be tried again: %s", session_id, error)
            except Exception:  # of one session: the others' leases are due as well
                log.exception("session %s: extending its lease failed", session_id)
            else:
                if row is not None:
                    self.runtime.signals.changes.notify(row.id)
                    await self._stop_if_over(row)

    async def _stop_if_over(self, row: SessionRow) -> None:
        now, end = self.runtime.clock(), leases.stops_at(row.leased_until, row.lease_end)
        spared = self._since is None or now < self._since + SPARED
        if end is not None and now >= end and not spared and row.started_at and row.unknown_since is None:
            await self.stopping.cancel(row, f"Stopped because credits ran out. {row.lease_end}")

    # ---- one session

    def _renew(self, tx: Tx, session_id: str) -> SessionRow | None:
        """Makes its lease reach as far as it should, or as what there is lasts, and says why it doesn't reach further."""
        now = self.runtime.clock()
        rows = [row for row in stored.copies_of(tx, session_id) if row.job_live and not row.job_cancelled_at]
        if not rows or not rows[0].live or rows[0].cancelled_at or rows[0].leased_until is None:
            return None
        runs = [self._run(row) for row in rows]
        session, wish = rows[0], leases.wish(runs, now, self.length)
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
        said = why if started else ""  # while it waits, that is no news: more may be granted before it runs
        if said and not session.lease_end:
            stored.say(tx, session.id, now, f"Its credits run out: {said}")
            allocation_mails.runs_out(tx, session, said, now)
        if session.lease_end and not said:
            stored.say(tx, session.id, now, "Its credits last again.")
        if bool(said) != bool(session.lease_end) or (reached and said):
            change["lease_end"] = said
        if change:
            stored.change(tx, session.id, **change)
        return stored.get(tx, session.id)

    def _run(self, row: SessionRow) -> Run:
        """Raises NoPrice for a place that its centre's page does not have any more."""
        known = self.runtime.load.centres[row.centre]
        spec = known.spec
        offered = spec.offered(row.partition)
        if offered is None:
            raise NoPrice(f"The page of {spec.name} has no partition {row.partition} any more.")
        memory = row.request["cores"] * spec.session.memory_per_core
        request = known.allotted(names.asked(row), row.partition)
        return Run(request=request, tariff=tariff_of(spec, offered), memory=memory, started_at=row.started_at)

    def _further(self, rows: Sequence[SessionRow], runs: Sequence[Run], until: datetime, now: datetime) -> Further:
        """What its dearest copy needs: only one is charged, and any may be."""
        zone = self.runtime.spec.time_zone
        costs = [leases.cost(run, now, until, self.length, zone) for run in runs]
        dearest = max(range(len(rows)), key=costs.__getitem__)
        return Further(until=until, more=max(NOTHING, costs[dearest] - Amount(rows[0].held)), centre=rows[dearest].centre)

    def _hold(self, tx: Tx, session: SessionRow, further: Further, now: datetime) -> Further:
        """Raises Overdrawn, and then holds nothing more."""
        if further.more:
            projects.check_cap(tx, session.project, session.person, further.more)
            words = f"its lease until {further.until:%Y-%m-%d %H:%M} UTC"
            books.hold(tx, session.project, session.id, further.more, now, words, centre=further.centre)
        return further

    def _as_far_as_it_goes(
        self, tx: Tx, rows: Sequence[SessionRow], runs: Sequence[Run], before: datetime, until: datetime, left: Amount, now: datetime
    ) -> Further | None:
        """With what is left, by some minutes; None if that is not enough for them."""
        end = leases.longest(lambda at: self._further(rows, runs, at, now).more, before, until, left)
        if end is None or not any(run.started_at for run in runs):
            return None
        try:
            return self._hold(tx, rows[0], self._further(rows, runs, end, now), now)
        except Overdrawn:  # it has less than its member may still spend
            return None


def _who(session: SessionRow, error: Overdrawn) -> str:
    if error.code == "over-cap":
        return f"{session.person} may spend of project {session.project} only"
    return f"Project {session.project} has"
