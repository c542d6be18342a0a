"""Two bounds that no federation of independent centres can reach: copies everywhere with one lock, and knowledge of the
future.

`all_centres` is Slurm's own federation without its limits: a copy in every queue; the first copy that starts takes the
lock, and the others disappear at that instant. `oracle` plays every centre forward with the true run times and all
future background jobs, and takes the soonest.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop, heappush

from .local import CYCLE
from .machine import Machine, next_pass
from .model import Job, Request, State
from .policies import Single, load
from .run import MOST_TRIES, SUBMIT, Run
from .workload import Arrival

HORIZONS = (2.0, 32.0, 300.0, 3600.0, 6 * 3600.0)
LATER_NUMBERS = 10**12  # numbers of jobs that exist in a forecast only


class Everywhere:
    """Puts a copy at each centre. All copies arrive at the same instant, so if one starts at once the others are never
    seen."""

    watches = False

    def __init__(self, run: Run) -> None:
        self.run = run

    def arrived(self, request: Request) -> None:
        fits = self.run.fits(request)
        turn = self.run.rng.randrange(len(fits))
        for index in fits[turn:] + fits[:turn]:
            self.run.submit(request, index)

    def started(self, job: Job) -> None:
        request = job.request
        assert request
        for other in request.copies:
            if other is not job and other.state != State.OVER:
                self.run.cancel(other)

    def home(self, job: Job) -> None:
        pass

    def died(self, job: Job, *, reached: bool) -> None:
        request = job.request
        assert request
        if request.winner or any(copy.live for copy in request.copies):
            return
        if request.failures < MOST_TRIES:
            self.arrived(request)
        else:
            self.run.give_up(request)


def oracle(run: Run) -> Single:
    return Single(run, soonest, watches=False)


def soonest(run: Run, request: Request) -> int:
    """Returns where the request would really start first, if no other person came; among equals the emptiest centre."""
    fits = run.fits(request)
    known = [Future(run, index, request) for index in fits]
    ends = [run.now + SUBMIT + horizon for horizon in HORIZONS] + [run.scenario.horizon]
    for until in ends:
        starts = [
            (at, load(run.machines[future.index]), place)
            for place, future in enumerate(known)
            if (at := future.play(until)) is not None
        ]
        if starts:
            return known[min(starts)[2]].index
    return min(fits, key=lambda index: load(run.machines[index]))


class Future:
    """One centre played forward, with the request in its queue."""

    def __init__(self, run: Run, index: int, request: Request) -> None:
        self.index = index
        local = run.centre(index)
        self.machine: Machine = local.machine.copy()
        self.arrivals: Sequence[Arrival] = run.workload.centres[index].arrivals
        self.place = local.place
        self.numbers = LATER_NUMBERS
        self.probe = Job(self.numbers, index, request.cores, request.run, request.walltime, None, run.now)
        coming = [(job.asked_at + SUBMIT, job.number, job) for job in run.coming[index].values()]
        self.coming = [*coming, (run.now + SUBMIT, self.numbers, self.probe)]
        self.ends = [(job.ends, job.number, job) for job in self.machine.running.values()]
        self.look_at = next_pass(self.machine.phase, run.now, CYCLE)
        self.started_at: float | None = None
        self.begun = False

    def play(self, until: float) -> float | None:
        """Returns when the request starts, if by `until`."""
        machine = self.machine
        if self.started_at is not None or not machine.up:
            return self.started_at
        if not self.begun:
            heapify(self.ends)
            heapify(self.coming)
            self.begun = True
        while self.started_at is None:
            end = self.ends[0][0] if self.ends else until + 1
            comes = self.coming[0][0] if self.coming else until + 1
            arrives = self.arrivals[self.place].at if self.place < len(self.arrivals) else until + 1
            looks = self.look_at if len(machine.queue) > 1 and machine.free else until + 1
            now = min(end, comes, arrives, looks)
            if now > until:
                break
            if now == looks:
                self._took(machine.backfill(now), now)
                self.look_at += CYCLE
            elif now == end:
                machine.finish(heappop(self.ends)[2])
                self._took(machine.serve(now), now)
            elif now == comes:
                self._submit(heappop(self.coming)[2], now)
            else:
                self._arrive(self.arrivals[self.place], now)
            if self.look_at <= now:
                self.look_at = next_pass(machine.phase, now, CYCLE)
        return self.started_at

    def _arrive(self, arrival: Arrival, now: float) -> None:
        self.place += 1
        self.numbers += 1
        self._submit(Job(self.numbers, self.index, arrival.cores, arrival.run, arrival.estimate, None, now), now)

    def _submit(self, job: Job, now: float) -> None:
        if self.machine.submit(job, now):
            self._took([job], now)

    def _took(self, started: list[Job], now: float) -> None:
        for job in started:
            heappush(self.ends, (now + min(job.run, job.estimate), job.number, job))
            if job is self.probe:
                self.started_at = now
