"""Keeps a cluster's jobs as they were asked for: compares them with those that the broker and the scheduler see, and
acts on the difference. Decisions are in repair.py."""

from __future__ import annotations

# mypy: disable-error-code="union-attr, no-untyped-call, override, assignment"
import asyncio
import contextlib
import logging
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from distributed.core import Status
from distributed.metrics import time as dask_time

from ...display import endings
from ...errors import ScnetError
from .activity import has_work, mark
from .display import ShowsItself
from .repair import RESTARTING, Action, Budget, Facts, relief_due, verdict
from .sizes import Size
from .worker import retires_before

Json = dict[str, Any]
log = logging.getLogger(__name__)


class Reconciles(ShowsItself):
    """Mixin of FederatedCluster. `_held` are jobs to replace once a worker connects: while none does, each round of
    starts is one job, not all of them."""

    _budget: Budget
    _tick: tuple[float, float]
    _wake: asyncio.Event
    _leaving: bool
    _refused: int
    _length: timedelta  # the walltime of each job
    _asked_at = 0.0

    async def _look_after(self) -> None:
        while self.status == Status.running and not self._leaving:
            try:
                await self._reconcile()
            except Exception:
                if not threading.main_thread().is_alive():  # the interpreter exits: no thread can be started
                    return
                log.exception("the cluster's reconciler failed; it continues")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._tick[0] if self._moving() else self._tick[1])
            self._wake.clear()

    async def _reconcile(self) -> None:
        """Compares the wanted with the actual state once, and acts on the difference."""
        if self.scheduler.status in (Status.closing, Status.closed):
            self._submitter.note("Closed after the idle timeout without work.")
            self.shutdown_scheduler = False  # it has closed already; another request would wait 30 s for an answer
            self.loop.add_callback(self._close)
            return
        if has_work(self.scheduler):
            mark(self._label)
        seen = self._seen()
        jobs = list(self.workers.items())
        for name, job in jobs:
            job.seen(name in seen)
        if self._moving() and self.scheduler.idle_since:
            self.scheduler.idle_since = dask_time()
        if await self._ask():
            for name, job in jobs:
                await self._settle(name, job, name in seen)
        if self._may_grow():
            self._relieve(seen)
            if seen and self._held:
                held, self._held = self._held, []
                self._change((), held)
        if going := await self._meter():
            self._change(going, ())
        self._publish()

    async def _ask(self) -> bool:
        """Reads the sessions from the broker; returns False if the broker does not answer: then nothing is decided."""
        if time.monotonic() - self._asked_at < self._tick[0] * 0.9:
            return True
        self._asked_at = time.monotonic()
        try:
            await asyncio.to_thread(self._submitter.refresh)
        except ScnetError as error:
            self._problem = {"title": str(error), "hint": error.hint, "passing": True}
            return False
        if self._problem and self._problem.get("passing"):
            self._problem = None
        return True

    async def _settle(self, name: str, job: Any, connected: bool) -> None:
        """Carries out the verdict on one job."""
        session, now = job.session, time.monotonic()
        away = None if not job.last_seen or connected else now - job.last_seen
        restarting = now - self.scheduler.restarted_at.get(name, float("-inf")) < RESTARTING
        facts = Facts(
            live=session.get("live"), connected=connected, away=away, restarting=restarting, refused=job.refused,
            failed=job.failed, end_reason=endings.cause(session),
            unpaid=self._submitter.unpaid(job.session_id, datetime.now(UTC)),
        )  # fmt: skip
        action, why = verdict(facts)
        if action is Action.KEEP or name not in self.worker_spec or self._leaving:
            return
        entry = self.worker_spec.pop(name)
        if facts.unpaid:
            self._submitter.note(f"{name} ends: {why}")
            self._problem = {
                "title": why,
                "hint": "When the project has credits again, call cluster.scale() to request jobs again.",
            }
        if action is Action.RETIRE:
            self.loop.add_callback(self._correct_state)
            return
        self.workers.pop(name, None)
        await job.close()
        if facts.unpaid:
            return
        if action is Action.DROP:
            self._refuse(name, why)
        elif restarting or self._budget.count(worked=job.worked, requested_at=entry["made_at"], now=now):
            self._replace(name, job, why, entry["size"])
        else:
            await self._give_up(job, why)

    def _relieve(self, seen: set[str]) -> None:
        """Requests another job for each whose walltime ends soon, and removes the old one when the new one's worker
        works and the old one's has no task: its results move before it ends. Under Adaptive only while there is
        work."""
        now, spec = datetime.now(UTC), self.worker_spec
        self._relief = {old: new for old, new in self._relief.items() if old in spec and new in spec}
        if self._budget.spent:
            return
        for name in seen & self.worker_spec.keys() - self._relief.keys():
            job = self.workers.get(name)
            if job and self._ends_soon(job.session, now) and (not self._adapts() or has_work(self.scheduler)):
                new, entry = self._entry(self.worker_spec[name]["size"])
                self._relief[name], self.worker_spec[new] = new, entry
                self._submitter.note(f"The walltime of {name} ends soon: {new} will take its place.")
                self.loop.add_callback(self._correct_state)
        busy = {one.name for one in self.scheduler.workers.values() if one.processing}
        for old, new in self._relief.items():
            if new in seen and old in spec and old not in busy:
                del spec[old]
                self.loop.add_callback(self._correct_state)

    def _ends_soon(self, session: Json, now: datetime) -> bool:
        if not session.get("live") or not (end := session.get("expires_at")):
            return False
        left = (datetime.fromisoformat(end) - now).total_seconds()
        return relief_due(left, self._length.total_seconds(), retires_before(self._length), self._submitter.waited)

    def _adapts(self) -> bool:
        return bool(self._adaptive and self._adaptive.periodic_callback)

    def _refuse(self, name: str, why: str) -> None:
        self._refused = 1 + self._refused if self._problem else 1
        what = f"{name} is" if self._refused == 1 else f"{self._refused} jobs are"
        self._problem = {
            "title": f"{what} not asked for any more: {why}",
            "hint": "Call cluster.scale() to request jobs again.",
        }

    def _replace(self, name: str, job: Any, why: str, size: Size) -> None:
        lost = f"{name} was lost: {why.rstrip('.')}."
        if self._adapts() or not self._may_grow():
            self._submitter.note(lost)
            return
        if self._relief.get(name) in self.worker_spec:
            self._submitter.note(f"{lost} {self._relief[name]} was already requested.")
            return
        if not job.first_seen and not self._seen() and self._trying():
            self._held.append(size)
            self._submitter.note(f"{lost} It is replaced when another job's worker has started.")
            return
        new, entry = self._entry(size)
        self._relief |= {old: new for old, relief in self._relief.items() if relief == name}
        self._submitter.note(f"{lost} {new} takes its place.")
        self.worker_spec[new] = entry
        self.loop.add_callback(self._correct_state)

    def _trying(self) -> bool:
        """Returns whether a job of the round after the last failure is on its way."""
        return any(entry["made_at"] >= self._budget.counted_at for entry in self.worker_spec.values())

    async def _give_up(self, job: Any, why: str) -> None:
        self._held = []
        tail = await asyncio.to_thread(self._submitter.last_words, job.session_id) if job.session_id else ""
        self._problem = self._budget.problem(why, tail)
