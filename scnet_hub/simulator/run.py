"""One run: events in the order of their time, machines that answer them, and a router that says where requests go.

The background is the workload's, whatever the router does, and draws nothing here. A router is told of requests, starts and deaths and
asks for copies or takes them back; how it chooses is its own. Times are seconds from the beginning.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Any, Protocol

from .faults import outages_of
from .machine import Job, Machine, State, next_pass
from .workload import Workload

CYCLE = 30.0  # seconds between looks for holes
SUBMIT, CANCEL, CALL_HOME = 1.0, 2.0, 3.0  # how long each takes
DIES_AFTER = 5.0  # a session in a black hole
MOST_TRIES = 8
WAITING_SEEN = 100  # queued jobs that a snapshot lists
TELL = 4096  # events between two reports of progress


class Request:
    """What somebody asked for, and what became of it in this run."""

    __slots__ = (
        "arrived",
        "asked",
        "copies",
        "cores",
        "duplicates",
        "failures",
        "gave_up",
        "measured",
        "person",
        "run",
        "started_at",
        "walltime",
        "winner",
    )

    def __init__(self, arrived: float, cores: int, walltime: float, run: float, person: int, measured: bool) -> None:
        self.arrived, self.cores, self.walltime, self.run, self.person, self.measured = arrived, cores, walltime, run, person, measured
        self.copies: list[Job] = []
        self.duplicates = self.failures = 0
        self.started_at: float | None = None
        self.winner: Job | None = None
        self.gave_up = False
        self.asked: Any = None  # the same in the product's words, made once


class View:
    """What a centre last said of itself: as it was at `taken_at`, and is said without a change since `since`. `failing`: it did not
    answer when it was last asked."""

    __slots__ = (
        "behind",
        "cores",
        "failing",
        "free",
        "index",
        "passed_at",
        "queued",
        "queued_cores",
        "running",
        "since",
        "taken_at",
        "version",
        "waiting",
    )

    def __init__(self, machine: Machine, now: float) -> None:
        self.index, self.cores, self.version = machine.index, machine.cores, machine.version
        self.taken_at = self.since = now
        self.free, self.queued, self.queued_cores = machine.free, len(machine.queue), machine.queued_cores
        self.running = tuple(machine.running)
        self.waiting = tuple(job for job, _ in zip(machine.queue.values(), range(WAITING_SEEN), strict=False))
        self.failing = False
        self.passed_at = next_pass(machine.phase, now, CYCLE) - CYCLE
        self.behind: Any = None  # what a policy worked out of it, kept for its lifetime


class Router(Protocol):
    """`watches`: it looks at snapshots."""

    watches: bool

    def arrived(self, request: Request) -> None: ...
    def started(self, job: Job) -> None: ...
    def home(self, job: Job) -> None:
        """The session of this copy is ready, the first of its request."""

    def died(self, job: Job, *, reached: bool) -> None:
        """Dead before it was ready; or it never reached its centre."""


class Run:
    """`check` looks at every event whether cores are conserved; `tell` hears how far it is, from 0 to 1."""

    def __init__(
        self, workload: Workload, router: Callable[[Run], Router], *, check: bool = False, tell: Callable[[float], None] | None = None
    ) -> None:
        self.workload, self.scenario = workload, workload.scenario
        self.now = 0.0
        self.check, self.tell = check, tell
        self.rng = Random(f"{self.scenario.seed}/policy")
        self.machines = [Machine(index, centre.cores, centre.phase) for index, centre in enumerate(workload.centres)]
        self.hole = 0 if self.scenario.black_hole else -1
        self.background = [0] * len(self.machines)  # how many of each centre's arrivals are there already
        self.measured_from, self.measured_to = self.scenario.measured
        self.background_waits: list[float] = []
        self.requests: list[Request] = []
        self.coming: list[dict[int, Job]] = [{} for _ in self.machines]
        self.views: list[View] = []
        self._numbers, self._order = count(1), count()
        self._events: list[tuple[float, int, Callable[[Any], None], Any]] = []
        self._next_ask = 0
        self.router = router(self)

    # ---- for routers

    def at(self, when: float, act: Callable[[Any], None], what: Any) -> None:
        heappush(self._events, (when, next(self._order), act, what))

    def submit(self, request: Request, index: int) -> Job:
        job = Job(next(self._numbers), index, request.cores, request.run, request.walltime, request, self.now)
        request.copies.append(job)
        self.coming[index][job.number] = job
        self.at(self.now + SUBMIT, self._reach, job)
        return job

    def cancel(self, job: Job) -> None:
        """Now. One that runs ends; one that is on its way never arrives."""
        was, job.state = job.state, State.OVER
        machine = self.machines[job.machine]
        if was == State.COMING:
            self.coming[job.machine].pop(job.number, None)
        elif was == State.QUEUED and machine.index != self.hole:
            if machine.withdraw(job):
                self.at(self.now, self._serve, machine)
            self._look_again(machine)
        elif was == State.RUNNING and machine.index != self.hole:
            machine.finish(job)
            self._settle(machine, machine.serve(self.now))

    def cancel_later(self, job: Job) -> None:
        if job.state != State.OVER:
            self.at(self.now + CANCEL, self._cancel_if_live, job)

    def fits(self, request: Request) -> list[int]:
        """The centres that could ever run it."""
        return [machine.index for machine in self.machines if machine.cores >= request.cores]

    def give_up(self, request: Request) -> None:
        request.gave_up = True

    # ---- the run

    def go(self) -> Run:
        self._begin()
        events, horizon, seen = self._events, self.scenario.horizon, 0
        while events:
            now, _, act, what = heappop(events)
            if now > horizon:
                break
            self.now = now
            act(what)
            seen += 1
            if self.check:
                assert all(machine.conserved() for machine in self.machines), f"cores are not conserved at {now}"
            if self.tell and not seen % TELL:
                self.tell(now / horizon)
        self.now = horizon
        for machine in self.machines:
            for job in machine.queue.values():
                self._count_wait(job, horizon)
        return self

    def _begin(self) -> None:
        for machine in self.machines:
            if machine.index != self.hole:
                self._push_background(machine.index)
        self._push_ask()
        if self.router.watches:
            self.views = [View(machine, 0.0) for machine in self.machines]
            if self.scenario.snapshot_age:
                phases = Random(f"{self.scenario.seed}/watch")
                for machine in self.machines:
                    self.at(phases.uniform(0, self.scenario.snapshot_age), self._watch, machine)
        if self.scenario.outages:
            for index, begin, end in outages_of(self.scenario, self.hole):
                self.at(begin, self._go_down, self.machines[index])
                self.at(end, self._come_back, self.machines[index])

    def view(self, index: int) -> View:
        """What is known of a centre now: with snapshots of age 0, all there is."""
        if not self.scenario.snapshot_age:
            self._see(self.machines[index])
        return self.views[index]

    def _watch(self, machine: Machine) -> None:
        self._see(machine)
        self.at(self.now + self.scenario.snapshot_age, self._watch, machine)

    def _see(self, machine: Machine) -> None:
        known = self.views[machine.index]
        known.failing = not machine.up
        if known.failing:
            return
        if known.version == machine.version:
            known.taken_at = self.now
        else:
            self.views[machine.index] = View(machine, self.now)

    def _push_background(self, index: int) -> None:
        arrivals, place = self.workload.centres[index].arrivals, self.background[index]
        if place < len(arrivals):
            self.at(arrivals[place].at, self._background_arrives, index)

    def _background_arrives(self, index: int) -> None:
        arrivals, place = self.workload.centres[index].arrivals, self.background[index] + 1
        at, cores, run, estimate = arrivals[place - 1]
        self.background[index] = place
        if place < len(arrivals):  # `_push_background`, without the calls: most events are these
            heappush(self._events, (arrivals[place].at, next(self._order), self._background_arrives, index))
        self._take(Job(next(self._numbers), index, cores, run, estimate, None, at))

    def _push_ask(self) -> None:
        if self._next_ask < len(self.workload.asks):
            self.at(self.workload.asks[self._next_ask].at, self._ask, self._next_ask)

    def _ask(self, place: int) -> None:
        at, cores, walltime, run, person = self.workload.asks[place]
        self._next_ask += 1
        self._push_ask()
        request = Request(at, cores, walltime, run, person, self.measured_from <= at < self.measured_to)
        if request.measured:
            self.requests.append(request)
        self.router.arrived(request)

    def _reach(self, job: Job) -> None:
        self.coming[job.machine].pop(job.number, None)
        if job.state != State.COMING:
            return
        job.arrived = self.now
        if job.machine == self.hole:
            self._fall_in(job)
        elif not self.machines[job.machine].up:
            self._die(job, reached=False)
        else:
            self._take(job)

    def _take(self, job: Job) -> None:
        machine = self.machines[job.machine]
        job.state = State.QUEUED
        if machine.submit(job, self.now):
            self._settle(machine, [job])
        else:
            self._look_again(machine)

    def _settle(self, machine: Machine, started: list[Job]) -> None:
        """What follows from starts; `started` may be none where something else changed."""
        for job in started:
            job.state = State.RUNNING
            job.ends = self.now + min(job.run, job.estimate)
            self.at(job.ends, self._end, job)
            if job.request:
                self._started(job, job.request)
            else:
                self._count_wait(job, self.now)
        self._look_again(machine)

    def _started(self, job: Job, request: Request) -> None:
        if request.winner:
            request.duplicates += 1
        else:
            request.winner, request.started_at = job, self.now
        self.router.started(job)
        if job.machine != self.hole:
            self.at(self.now + CALL_HOME, self._call_home, job)

    def _call_home(self, job: Job) -> None:
        if job.request and job.request.winner is job:
            self.router.home(job)

    def _count_wait(self, job: Job, now: float) -> None:
        if job.request is None and self.measured_from <= job.arrived < self.measured_to:
            self.background_waits.append(now - job.arrived)

    def _look_again(self, machine: Machine) -> None:
        """Has a backfill pass look at what changed, if one could find anything: nothing else ever makes room."""
        if not machine.ticking and machine.free and len(machine.queue) > 1:
            machine.ticking = True
            self.at(next_pass(machine.phase, self.now, CYCLE), self._backfill, machine)

    def _backfill(self, machine: Machine) -> None:
        machine.ticking = False
        if started := machine.backfill(self.now):
            self._settle(machine, started)

    def _serve(self, machine: Machine) -> None:
        self._settle(machine, machine.serve(self.now))

    def _end(self, job: Job) -> None:
        if job.state != State.RUNNING:
            return
        job.state = State.OVER
        machine = self.machines[job.machine]
        machine.finish(job)
        self._settle(machine, machine.serve(self.now))

    def _cancel_if_live(self, job: Job) -> None:
        if job.state != State.OVER:
            self.cancel(job)

    # ---- what goes wrong

    def _fall_in(self, job: Job) -> None:
        job.state = State.RUNNING
        assert job.request
        self._started(job, job.request)
        self.at(self.now + DIES_AFTER, self._die_if_live, job)

    def _die_if_live(self, job: Job) -> None:
        if job.state == State.RUNNING:
            self._die(job, reached=True)

    def _die(self, job: Job, *, reached: bool) -> None:
        request = job.request
        assert request
        job.state = State.OVER
        request.failures += 1
        if request.winner is job:
            request.winner = next((copy for copy in request.copies if copy.state == State.RUNNING), None)
            request.started_at = self.now if request.winner else None
        self.router.died(job, reached=reached)

    def _go_down(self, machine: Machine) -> None:
        machine.up = False

    def _come_back(self, machine: Machine) -> None:
        machine.up = True
        self._settle(machine, machine.serve(self.now))
