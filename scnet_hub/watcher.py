"""One watcher per centre: one question to its queue per tick for all sessions and the load, now and then one to its nodes.

The pause adapts: at least five times as long as the centre took to answer, short while a session waits or starts, long when
calm; a poke can't shorten it below the short one, so that a centre's load does not grow with the number of people. A centre
that can't be asked keeps its sessions as they are, marked unknown; only its queue or its accounting ends one.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from . import sessions
from .centres import Centre
from .db import Tx
from .db import sessions as stored
from .db.sessions import SessionRow
from .errors import CentreError
from .jobs import JobState, JobStatus, UsageRecord
from .ledger import books, pricing
from .load import Known
from .units import Amount

if TYPE_CHECKING:
    from .federation import Federation

log = logging.getLogger(__name__)
EASE = 5.0  # pause at least so many times the centre's own answering time
APART = 0.03  # seconds per centre over which the first looks are spread: a login costs us half of that in CPU time


class Watcher:
    """Watches one centre until cancelled. `poke(after)` asks for a look within so many seconds."""

    def __init__(self, federation: Federation, centre: Centre, known: Known) -> None:
        self.federation, self.centre, self.known = federation, centre, known
        self._poked = asyncio.Event()
        self._due = self._took = 0.0
        self._nodes_at = float("-inf")
        self._under_way: set[tuple[str, str]] = set()
        self._hopeless: set[str] = set()  # jobs that their centre called so at the last look

    def poke(self, after: float = 0.0) -> None:
        due = asyncio.get_running_loop().time() + after
        if due < self._due:
            self._due = due
            self._poked.set()

    async def run(self) -> None:
        await asyncio.sleep(random.uniform(0, APART * len(self.federation.centres)))
        while True:
            busy = True
            try:
                busy = await self.tick()
            except Exception as error:  # a fault in one centre's answer must not end the watch of it; it is logged whole
                log.exception("%s: a look at the centre failed", self.known.spec.id)
                self.known.failed(f"its answer could not be read ({type(error).__name__})", self.federation.clock())
            await self._pause(busy)

    async def _pause(self, busy: bool) -> None:
        loop = asyncio.get_running_loop()
        watch = self.known.spec.watch
        least = loop.time() + max(EASE * self._took, watch.busy_interval)
        self._due = max(loop.time() + watch.interval, least) if not busy else least
        while (left := max(self._due, least) - loop.time()) > 0:
            self._poked.clear()
            try:
                async with asyncio.timeout(left):  # not wait_for: on 3.11 that can swallow a cancellation
                    await self._poked.wait()
            except TimeoutError:
                return

    async def tick(self) -> bool:
        """One look; True if something waits, starts or ends there, so that the next look should be soon."""
        loop, fed, centre_id = asyncio.get_running_loop(), self.federation, self.known.spec.id
        rows = [row for row in await fed.db.run(stored.live, centre=centre_id) if row.job_id]
        asked = loop.time()
        nodes = asked - self._nodes_at >= self.known.spec.watch.interval or self.known.failing_since is not None
        try:
            statuses, snapshot = await self.centre.look([row.job_id for row in rows], nodes=nodes)
        except CentreError as error:
            self._took = loop.time() - asked
            await self._could_not_ask(rows, str(error))
            return True
        self._took = loop.time() - asked
        if snapshot:
            self.known.took(snapshot)
            self._nodes_at = asked
        for row in rows:
            await self._heard(row, statuses[row.job_id])
        await self._give_up_hopeless(rows, statuses)
        waiting = await self._charge()
        fresh = await fed.db.run(stored.live, centre=centre_id)
        return waiting or any(row.state in sessions.WAITING or row.state == "stopping" or row.unknown_since for row in fresh)

    async def _could_not_ask(self, rows: Sequence[SessionRow], why: str) -> None:
        now = self.federation.clock()
        self.known.failed(why, now)
        for row in rows:
            await self._heard(row, JobStatus(state=JobState.UNKNOWN, seen_at=now, reason=why))

    async def _heard(self, row: SessionRow, status: JobStatus) -> None:
        fed = self.federation
        if status.state.ended and not row.ready_at and (row.kind == "lab" or status.state is not JobState.COMPLETED):
            return self._beside(row.id, "end", lambda: self._ended_oddly(row, status))
        before = await fed.heard(row.id, status, "")
        if status.state.ended:
            self._beside(row.id, "scrub", lambda: fed.scrub(row))
        elif (before or row).cancelled_at and status.state is not JobState.UNKNOWN:
            self._beside(row.id, "cancel", lambda: fed.cancel_job(before or row))

    async def _ended_oddly(self, row: SessionRow, status: JobStatus) -> None:
        await self.federation.heard(row.id, status, await self.federation.last_lines(row))
        self.poke()
        await self.federation.scrub(row)

    def _beside(self, session_id: str, what: str, work: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """What is asked in a person's name goes on beside the watch, each thing once at a time: a login of theirs that hangs
        keeps nobody else waiting."""
        key = (session_id, what)

        async def once() -> None:
            try:
                await work()
            finally:
                self._under_way.discard(key)

        if key not in self._under_way:
            self._under_way.add(key)
            self.federation.own(once())

    async def _give_up_hopeless(self, rows: Sequence[SessionRow], statuses: Mapping[str, JobStatus]) -> None:
        """Stops what the centre itself, twice in a row, says it can never start: some accept any request and wait for ever."""
        named = {row.job_id for row in rows if statuses[row.job_id].hopeless}
        for row in rows:
            if row.job_id in named & self._hopeless and not row.cancelled_at:
                why = f"{self.known.spec.name} accepted this job but says that it can never start: {statuses[row.job_id].reason}."
                self._beside(row.id, "cancel", partial(self.federation.cancel, row, why))
        self._hopeless = named

    async def _charge(self) -> bool:
        """Charges ended sessions from the centre's usage records; True if one is still to come."""
        rows = await self.federation.db.run(stored.uncharged, self.known.spec.id)
        with_job = [row for row in rows if row.job_id]
        try:
            records = {record.job_id: record for record in await self.centre.usage([row.job_id for row in with_job])} if with_job else {}
        except CentreError as error:
            log.warning("%s: accounting can't be asked: %s", self.known.spec.id, error)
            return True
        left = False
        for row in rows:
            record = records.get(row.job_id)
            if row.job_id and (record is None or not record.state.ended or record.name != sessions.job_name(row.id)):
                left = True
                continue
            await self.federation.db.run(settle, row, record, self.known, self.federation.clock())
            self.federation.changes.tell(row.id)
        return left


def settle(tx: Tx, row: SessionRow, record: UsageRecord | None, known: Known, now: datetime) -> None:
    """Charges one ended session, or gives its hold back where nothing ran or the centre lost it; harmless to repeat."""
    held = Amount(row.held)
    amount, memo = price(row, record, known)
    if record is None or record.state is JobState.LOST:
        books.release(tx, row.project, row.id, held, now, memo)
    else:
        books.charge(tx, row.project, row.id, row.centre, held, amount, now, memo)
    times = {"started_at": record.started_at or row.started_at, "ended_at": record.ended_at or row.ended_at} if record else {}
    stored.change(tx, row.id, state="charged", charged=amount.micros, **times)
    stored.say(tx, row.id, now, f"Charged {amount}: {memo}." if amount else f"Not charged: {memo}.")


def price(row: SessionRow, record: UsageRecord | None, known: Known) -> tuple[Amount, str]:
    """What a usage record costs, and the formula in words."""
    if record is None:
        return Amount(0), "nothing ran"
    if record.state is JobState.LOST:
        return Amount(0), "lost by the centre"
    offered = known.spec.offered(row.partition)
    rates = {"core_hour": offered.tariff.core_hour, "gpu_hour": offered.tariff.gpu_hour} if offered else {"core_hour": 0.0, "gpu_hour": 0.0}
    hourly = pricing.per_hour(record.cores, record.gpus, **rates)
    return pricing.cost(hourly, record.elapsed), pricing.formula(record.cores, record.gpus, record.elapsed, **rates)
