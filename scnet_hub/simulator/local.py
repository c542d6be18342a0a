"""One centre's own events: its people's jobs arrive, jobs end, and its scheduler looks for holes.

Centres affect each other only through people's sessions. So each centre is played on by itself, in one go, whenever the
run touches it; it follows the run's clock event by event only while a copy of a request waits in its queue and may
start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from itertools import count

from .machine import Machine, next_pass
from .model import Job, Request, State
from .workload import Arrival

CYCLE = 30.0  # seconds between looks for holes
NEVER = (float("inf"), 0)


class Local:
    """A machine and its events. `place` counts the arrivals so far, `copies` the queued copies of people's requests;
    `waits` holds the waits of background jobs that came within `measured`. `started` is called when a copy starts, with
    the time. `due` is for the run. Events of the same time come in the order in which they were foreseen."""

    __slots__ = (
        "_arrival",
        "_ends",
        "_look",
        "_numbers",
        "_order",
        "arrivals",
        "check",
        "copies",
        "due",
        "machine",
        "measured_from",
        "measured_to",
        "place",
        "started",
        "waits",
    )

    def __init__(
        self,
        machine: Machine,
        arrivals: Sequence[Arrival],
        measured: tuple[float, float],
        started: Callable[[Job, float], None],
        *,
        check: bool = False,
    ) -> None:
        self.machine, self.arrivals, self.started, self.check = machine, arrivals, started, check
        self.measured_from, self.measured_to = measured
        self.place = self.copies = 0
        self.waits: list[float] = []
        self.due = -1.0
        self._numbers, self._order = count(1), count()
        self._ends: list[tuple[float, int, Job]] = []
        self._arrival = (arrivals[0].at, next(self._order)) if arrivals else NEVER
        self._look = NEVER

    def job(self, cores: int, run: float, estimate: float, request: Request, now: float) -> Job:
        return Job(next(self._numbers), self.machine.index, cores, run, estimate, request, now)

    @property
    def next(self) -> float:
        """Returns the time of the next event."""
        end = self._ends[0][0] if self._ends else NEVER[0]
        return min(end, self._arrival[0], self._look[0])

    def play(self, until: float) -> None:
        """Plays all events until then. Stops when a copy of a request starts, because the run decides what follows."""
        ends, told = self._ends, False
        while not told:
            end, arrival, look = ends[0] if ends else NEVER, self._arrival, self._look
            if end < arrival and end < look:
                if end[0] > until:
                    break
                job = heappop(ends)[2]
                told = job.state == State.RUNNING and self.stop(job, end[0])
            elif arrival < look:
                if arrival[0] > until:
                    break
                told = self._arrive(arrival[0])
            else:
                if look[0] > until:
                    break
                self._look = NEVER  # another pass over the same jobs would find no more
                told = bool(started := self.machine.backfill(look[0])) and self.settle(started, look[0])
            if self.check:
                assert self.machine.conserved(), f"cores are not conserved at {self.machine.index}"

    def take(self, job: Job, now: float) -> bool:
        """Submits a job. Returns True if it starts at once and is a copy of a request."""
        if self.machine.submit(job, now):
            return self._start(job, now)
        job.state = State.QUEUED
        self.copies += job.request is not None
        self._look_again(now)
        return False

    def withdraw(self, job: Job, now: float) -> bool:
        """Removes a copy from the queue; returns whether it was the first."""
        self.copies -= 1
        first = self.machine.withdraw(job)
        self._look_again(now)
        return first

    def stop(self, job: Job, now: float) -> bool:
        """Ends a running job and frees its cores. Returns True if a copy of a request starts with them."""
        job.state = State.OVER
        self.machine.finish(job)
        return bool(self.machine.queue) and self.settle(self.machine.serve(now), now)

    def settle(self, started: Sequence[Job], now: float) -> bool:
        """Handles jobs that left the queue and now run. Returns True if one of them is a copy of a request."""
        told = False
        for job in started:
            self.copies -= job.request is not None
            told = self._start(job, now) or told
        self._look_again(now)
        return told

    def close(self, now: float) -> None:
        """Ends the run: jobs that still wait have waited until now."""
        for job in self.machine.queue.values():
            if not job.request:
                self._count(job, now)

    def _arrive(self, now: float) -> bool:
        _, cores, run, estimate = self.arrivals[self.place]
        self.place += 1
        self._arrival = (self.arrivals[self.place].at, next(self._order)) if self.place < len(self.arrivals) else NEVER
        return self.take(Job(next(self._numbers), self.machine.index, cores, run, estimate, None, now), now)

    def _start(self, job: Job, now: float) -> bool:
        job.state = State.RUNNING
        job.ends = now + min(job.run, job.estimate)
        heappush(self._ends, (job.ends, next(self._order), job))
        if job.request:
            self.started(job, now)
            return True
        self._count(job, now)
        return False

    def _count(self, job: Job, now: float) -> None:
        if self.measured_from <= job.arrived < self.measured_to:
            self.waits.append(now - job.arrived)

    def _look_again(self, now: float) -> None:
        """Schedules a backfill pass for the change, if the pass could find a job: only such a change makes room."""
        machine = self.machine
        if self._look is NEVER and machine.free and len(machine.queue) > 1:
            self._look = (next_pass(machine.phase, now, CYCLE), next(self._order))
