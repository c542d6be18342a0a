"""Watches one centre: asks its queue once per tick for all sessions and the load, and its nodes now and then.

The pause adapts. It is at least five times as long as the centre took to answer, short while a session waits or starts,
and long when the centre is calm. A wake cannot make it shorter than the short pause, so a centre's load does not grow
with the number of people. A centre that cannot be reached keeps its sessions as they are, marked unknown. A session
ends only by the centre's queue or accounting, or after the centre has answered for very long without knowing its job.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from ...adapters.db.queries import sessions as session_rows
from ...adapters.db.queries import usage as usage_rows
from ...display.session_states import MOVING
from ...domain.jobs import JobState, JobStatus, UsageRecord
from ...domain.sessions import names
from ...domain.sessions.records import Copy, SessionCopy
from ...errors import CentreError, NotStored
from ..accounting import intake
from ..placement.placing import Placing
from ..runtime import Runtime
from .endings import Endings
from .files import Files
from .launcher import Launcher
from .orphans import Orphans
from .stopping import Stopping

log = logging.getLogger(__name__)
EASE = 5.0  # the pause is at least this many times as long as the centre took to answer
# a copy without a job for longer than this is launched again, whatever became of its first launch
UNLAUNCHED = timedelta(minutes=1)
STOP_AGAIN = 30.0  # seconds between two commands to stop one job
ASK_AGAIN = 600.0  # seconds between two requests for a record that is in suspense
APART = 0.03  # seconds per centre over which the first looks are spread: a login costs us half of that in CPU time


class Watcher:
    """Watches one centre until cancelled. `wake(after)` asks for a look within `after` seconds."""

    def __init__(
        self,
        runtime: Runtime,
        centre: str,
        placing: Placing,
        launcher: Launcher,
        stopping: Stopping,
        endings: Endings,
        files: Files,
    ) -> None:
        self.runtime, self.placing, self.launcher, self.stopping = runtime, placing, launcher, stopping
        self.endings, self.files = endings, files
        self.centre, self.known = runtime.centres[centre], runtime.states.centres[centre]
        self._woken = asyncio.Event()
        self._due = self._took = 0.0
        self._nodes_at = float("-inf")
        self._under_way: set[tuple[str, str]] = set()
        self.orphans = Orphans(runtime, centre)
        self._stopped: dict[str, float] = {}  # copies that were told to stop, and when
        self._recordless: dict[str, float] = {}  # copies that ended without a usage record so far, and since when
        # copies whose record is in suspense, and when the record was last requested
        self._suspended: dict[str, float] = {}
        self._hopeless: set[str] = set()  # jobs that their centre reported as hopeless at the last look

    def wake(self, after: float = 0.0) -> None:
        due = asyncio.get_running_loop().time() + after
        if due < self._due:
            self._due = due
            self._woken.set()

    async def run(self) -> None:
        await asyncio.sleep(random.uniform(0, APART * len(self.runtime.centres)))
        while True:
            busy = True
            try:
                busy = await self.tick()
            except NotStored as error:  # not the centre's fault
                log.warning("%s: the result of a look could not be stored: %s", self.known.spec.id, error)
            # an error in one centre's answer must not end its watcher; the traceback is logged
            except Exception as error:
                log.exception("%s: a look at the centre failed", self.known.spec.id)
                self.known.mark_failing(f"its answer could not be read ({type(error).__name__})", self.runtime.clock())
            self.runtime.first_looks[self.known.spec.id].set()
            await self._pause(busy)

    async def _pause(self, busy: bool) -> None:
        loop = asyncio.get_running_loop()
        watch = self.known.spec.watch
        pause = max(EASE * self._took, watch.busy_interval)
        self.known.set_pace(self._took + pause)
        least = loop.time() + pause
        self._due = max(loop.time() + watch.interval, least) if not busy else least
        while (left := max(self._due, least) - loop.time()) > 0:
            self._woken.clear()
            try:
                async with asyncio.timeout(left):  # not wait_for: on 3.11 that can swallow a cancellation
                    await self._woken.wait()
            except TimeoutError:
                return

    async def tick(self) -> bool:
        """Looks once. Returns True if a copy waits, starts or ends there, so that the next look should be soon."""
        loop, centre_id = asyncio.get_running_loop(), self.known.spec.id
        live = await self.runtime.db.query(session_rows.live_copies, centre=centre_id)
        rows = [row for row in live if row.copy.job_id]
        for _, copy in live:
            if not copy.job_id and self.runtime.clock() - copy.asked_at > UNLAUNCHED:
                self.launcher.begin(copy.session, copy.number, True)  # does nothing if a launch is under way
        asked = loop.time()
        nodes = asked - self._nodes_at >= self.known.spec.watch.interval or self.known.failing_since is not None
        try:
            look = await self.centre.look([row.copy.job_id for row in rows], nodes=nodes)
        except CentreError as error:
            # A hung command is no measure of the centre's load: the pause is no longer than when the centre is calm.
            self._took = min(loop.time() - asked, self.known.spec.watch.interval / EASE)
            await self._could_not_ask(rows, str(error))
            return True
        self._took = loop.time() - asked
        if look.snapshot:
            self.known.update(look.snapshot)
            self._nodes_at = asked
            await self.runtime.db.run(self.placing.keep_up)
        for row in rows:
            await self.take_status(row, look.statuses[row.copy.job_id])
        await self._give_up_hopeless(rows, look.statuses)
        copies = [row.copy for row in rows]
        await self._write_off_forgotten([copy for copy in copies if _unknown(copy, look.statuses[copy.job_id])])
        await self.orphans.compare(look.listed, copies)
        waiting = await self._charge()
        fresh = await self.runtime.db.query(session_rows.live_copies, centre=centre_id)
        return waiting or any(copy.state in MOVING or copy.unknown_since for _, copy in fresh)

    async def _could_not_ask(self, rows: Sequence[SessionCopy], why: str) -> None:
        now = self.runtime.clock()
        self.known.mark_failing(why, now)
        self._recordless.clear()
        for row in rows:
            await self.take_status(row, JobStatus(state=JobState.UNKNOWN, seen_at=now, reason=why))

    async def take_status(self, row: SessionCopy, status: JobStatus) -> None:
        """Takes in the centre's answer about one copy's job. If the job under that id has another name, the answer is
        ignored: a centre that lost its state gives ids out again."""
        session, copy = row
        if status.name and status.name != names.job_name(copy):
            why = "its job id belongs to another job there now: the centre has lost its own records"
            status = replace(status, state=JobState.UNKNOWN, reason=why, forgotten=True, node="", place=0)
        oddly = status.state is not JobState.COMPLETED or (session.kind == "lab" and not session.ready_at)
        if status.state.ended and oddly and not copy.cancelled_at:
            return self._beside(copy, "end", lambda: self._ended_oddly(row, status))
        before = await self.endings.take_status(row, status, "") or copy
        if status.state.ended:
            self._beside(copy, "scrub", lambda: self.files.scrub(copy))
            self.wake()
        elif before.cancelled_at and status.state is not JobState.UNKNOWN and self._stop_again(copy):
            self._beside(copy, "cancel", lambda: self.stopping.cancel_job(before))

    def _stop_again(self, copy: Copy) -> bool:
        """Tells whether to send the command again: a job may take a while to end, so not at every look."""
        now = asyncio.get_running_loop().time()
        self._stopped = {label: at for label, at in self._stopped.items() if now - at < STOP_AGAIN}
        return _entered(self._stopped, names.label(copy), now)

    async def _ended_oddly(self, row: SessionCopy, status: JobStatus) -> None:
        await self.endings.take_status(row, status, await self.files.last_lines(row.copy))
        self.wake()
        await self.files.scrub(row.copy)

    def _beside(self, copy: Copy, what: str, work: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Runs `work`, done in a person's name, beside the watch, each kind once at a time per copy: a person's login
        that hangs does not delay others."""
        key = (names.label(copy), what)

        async def once() -> None:
            try:
                await work()
            finally:
                self._under_way.discard(key)

        if key not in self._under_way:
            self._under_way.add(key)
            self.runtime.tasks.own(once())

    async def _give_up_hopeless(self, rows: Sequence[SessionCopy], statuses: Mapping[str, JobStatus]) -> None:
        """Stops the jobs that the centre itself reports twice in a row as impossible to start: some centres accept any
        request and keep it waiting for ever."""
        named = {row.copy.job_id for row in rows if statuses[row.copy.job_id].hopeless}
        for session, copy in rows:
            if copy.job_id in named & self._hopeless and not session.cancelled_at and not copy.cancelled_at:
                why = (
                    f"{self.known.spec.name} accepted this job but says that it can never start: "
                    f"{statuses[copy.job_id].reason}."
                )
                self._beside(copy, "cancel", partial(self.stopping.give_up, copy, why))
        self._hopeless = named

    async def _write_off_forgotten(self, copies: Sequence[Copy]) -> None:
        """Writes off the copies that the centre, which answers, has not known for so long that it never will."""
        patience = timedelta(seconds=self.known.spec.watch.forget_after)
        for copy in copies:
            if copy.forgotten_since and self.runtime.clock() - copy.forgotten_since >= patience:
                why = f"{self.known.spec.name} knows nothing of this job any more: not charged."
                await self.stopping.write_off(copy, why)
                self._beside(copy, "scrub", partial(self.files.scrub, copy))

    async def _charge(self) -> bool:
        """Settles ended copies from the centre's usage records; True if a record is still missing. Records are stored
        first; a record in suspense is requested again from time to time, because its centre may correct it."""
        centre_id = self.known.spec.id
        waiting = await self.runtime.db.query(usage_rows.waiting, centre_id)
        copies = [
            copy
            for _, copy in await self.runtime.db.query(session_rows.unsettled, centre_id)
            if copy.session not in waiting or self._ask_again(copy)
        ]
        try:
            records = _runs(await self.centre.usage([copy.job_id for copy in copies])) if copies else {}
        except CentreError as error:
            log.warning("%s: accounting cannot be reached: %s", centre_id, error)
            self._recordless.clear()  # accounting may be far behind when it answers again
            return True
        left = False
        for copy in copies:
            runs = _own(copy, records.get(copy.job_id, ()))
            if any(intake.half_told(one) for one in runs) and self._patient(copy):
                left = True
                continue
            if runs:
                await self.runtime.db.run(self.endings.settle, copy, runs)
                self.runtime.signals.changes.notify(copy.session)
            if runs and (runs[-1].state.ended or any(one.trouble for one in runs)):
                self._recordless.pop(names.label(copy), None)
            elif copy.session not in waiting:
                left |= await self._waits_for_record(copy, bool(runs))
        return left

    def _ask_again(self, copy: Copy) -> bool:
        now = asyncio.get_running_loop().time()
        self._suspended = {label: at for label, at in self._suspended.items() if now - at < ASK_AGAIN}
        return _entered(self._suspended, names.label(copy), now)

    def _patient(self, copy: Copy) -> bool:
        """Tells whether the centre's accounting may still deliver more."""
        now = asyncio.get_running_loop().time()
        return now - self._recordless.setdefault(names.label(copy), now) < self.known.spec.watch.forget_after

    async def _waits_for_record(self, copy: Copy, known: bool) -> bool:
        """Tells whether to wait on for the record of an ended copy. After the patience, a copy without a record of its
        end (`known`: with a record that has no end) is written off: its centre failed or lost its state."""
        if self._patient(copy):
            return True
        says = "still reports this ended job as running" if known else "has no record of this job"
        await self.stopping.write_off(copy, f"The accounting of {self.known.spec.name} {says}: not charged.")
        return False


def _entered(times: dict[str, float], label: str, now: float) -> bool:
    """Enters `label` with the time `now` and returns True, unless it is there already."""
    if label in times:
        return False
    times[label] = now
    return True


def _runs(records: Sequence[UsageRecord]) -> Mapping[str, Sequence[UsageRecord]]:
    """Returns the runs of each job, by job id, in their order."""
    runs: defaultdict[str, list[UsageRecord]] = defaultdict(list)
    for record in sorted(records, key=lambda one: one.restart):
        runs[record.job_id].append(record)
    return runs


def _own(copy: Copy, runs: Sequence[UsageRecord]) -> list[UsageRecord]:
    """Returns the runs that bear the copy's name. A row that cannot be read may have no name; it is matched by its job
    id."""
    name = names.job_name(copy)
    return [replace(one, name=one.name or name) for one in runs if one.name == name or (one.trouble and not one.name)]


def _unknown(copy: Copy, status: JobStatus) -> bool:
    """Tells whether this look contains no news of the copy's own job."""
    return status.state is JobState.UNKNOWN or bool(status.name and status.name != names.job_name(copy))
