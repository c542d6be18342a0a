"""Meters a cluster: reads what its project can still spend, and keeps the cluster within its budget. Decisions and
words are in spending.py."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

from ...errors import ScnetError
from . import spending
from .sizes import Size
from .spending import Load, Outlook, Rate, SpendingLimit, Stage
from .submitter import Submitter

Json = dict[str, Any]
EVERY, OLDEST = 30.0, 300.0  # seconds between two looks at the balance, and until one counts no longer


class Meters:
    """Mixin of FederatedCluster. `budget` may be changed at any time."""

    worker_spec: dict[str, Any]
    workers: dict[str, Any]
    scheduler: Any
    _submitter: Submitter
    _limit: SpendingLimit
    _tick: tuple[float, float]
    _wake: asyncio.Event
    _held: list[Size]
    _stage = Stage.WITHIN
    _balance: Json | None = None
    _outlook: Outlook | None = None
    _balance_at = float("-inf")  # monotonic
    _rate_then: Rate | None = None

    @property
    def cost(self) -> float:
        """Returns the credits so far: the charge for jobs that have ended, an estimate for running jobs."""
        return self._submitter.cost

    @property
    def budget(self) -> float | None:
        """The credits that the cluster may cost before it stops to grow; None: no limit of its own."""
        return self._limit.credits

    @budget.setter
    def budget(self, credits: float | str | None) -> None:
        self._limit = SpendingLimit.of(credits)

    @property
    def rate(self) -> Rate:
        """Returns the cost an hour, now and once all jobs run."""
        jobs = [(self._session(name), entry["size"]) for name, entry in list(self.worker_spec.items())]
        return spending.rate(jobs)

    def _session(self, name: str) -> Json:
        """Returns the session of the job of that name, as last seen; {} before it is submitted."""
        job = self.workers.get(name)
        if job:
            return dict(job.session)
        return self._submitter.sessions.get(self.worker_spec[name]["options"]["session_id"], {})

    def _may_grow(self) -> bool:
        return self._limit.stage(self.cost) is not Stage.REACHED

    async def _meter(self) -> list[str]:
        """Takes one look: reads the balance if it is due, and notes a new stage of the budget. Returns the jobs to end
        because the budget is used up."""
        await self._read_balance()
        before, self._stage = self._stage, self._limit.stage(self.cost)
        problem = self._limit.problem(self.cost)
        if problem and self._stage is not before:
            self._submitter.note(f"{problem['title']} {problem['hint']}")
        if self._stage is not Stage.REACHED:
            return []
        self._held = []
        return spending.to_end(self._loads())

    async def _read_balance(self) -> None:
        now, rate = time.monotonic(), self.rate
        due = EVERY if rate == self._rate_then else self._tick[0] * 0.9
        if not rate.now or now - self._balance_at < due:
            return
        try:
            self._balance, self._outlook = await asyncio.to_thread(self._ask_balance, rate)
        except ScnetError:
            if now - self._balance_at > OLDEST:
                self._balance = self._outlook = None
            return
        self._balance_at, self._rate_then = now, rate

    def _outlook_at(self, rate: Rate) -> Outlook | None:
        """Returns the outlook if it was made for that rate; a new one follows with the next look."""
        return self._outlook if rate == self._rate_then else None

    def _ask_balance(self, rate: Rate) -> tuple[Json | None, Outlook | None]:
        project, client = self._submitter.first.get("project"), self._submitter.client
        balance = next((one for one in client.balance() if one["id"] == project), None)
        if balance is None:
            return None, None
        mine = client.sessions() if balance.get("own") else []
        return balance, spending.outlook(balance, mine, rate, datetime.now(UTC))

    def _loads(self) -> list[Load]:
        """Returns what is on the workers; called on the scheduler's own loop."""
        on = {one.name: one for one in self.scheduler.workers.values()}
        return [
            Load(
                name=name, connected=name in on, busy=name in on and bool(on[name].processing),
                results=frozenset(one.key for one in on[name].has_what) if name in on else frozenset(),
            )
            for name in list(self.worker_spec)
        ]  # fmt: skip
