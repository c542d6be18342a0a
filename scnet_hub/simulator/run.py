"""One run: people's requests in the order of their time, centres that take them, and a router that decides where they
go.

The background is the workload's, whatever the router does, and draws nothing here: each centre plays it by itself
(`local.py`) when the run touches it. A router is told about requests, starts and deaths, and submits copies or
withdraws them; how it chooses is its own. Times are seconds from the beginning.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count, islice
from random import Random
from typing import Any, Protocol

from .faults import outages_of
from .local import CYCLE, Local
from .machine import Entry, Machine, next_pass
from .model import Job, Request, State
from .workload import Workload

SUBMIT, CANCEL, CALL_HOME = 1.0, 2.0, 3.0  # how long each takes
DIES_AFTER = 5.0  # a session in a black hole
MOST_TRIES = 8
WAITING_SEEN = 100  # queued jobs that a snapshot lists
TELL = 1024  # events between two reports of progress


class View:
    """The last answer of a centre: as it was at `taken_at`, and unchanged since `since`. `failing`: it did not answer
    the last query."""

    __slots__ = (
        "_machine",
        "_running",
        "_since",
        "behind",
        "cores",
        "failing",
        "free",
        "index",
        "passed_at",
        "queued",
        "queued_cores",
        "running_jobs",
        "since",
        "taken_at",
        "version",
        "waiting",
    )

    def __init__(self, machine: Machine, now: float) -> None:
        self.index, self.cores, self.version = machine.index, machine.cores, machine.version
        self.taken_at = self.since = now
        self.free, self.queued, self.queued_cores = machine.free, len(machine.queue), machine.queued_cores
        self.running_jobs, self.waiting = len(machine.running), tuple(islice(machine.queue.values(), WAITING_SEEN))
        self._machine, self._since = machine, machine.remember()
        self._running: list[Entry] | None = None
        self.failing = False
        self.passed_at = next_pass(machine.phase, now, CYCLE) - CYCLE
        self.behind: Any = None  # what a policy computed from it, kept for its lifetime

    @property
    def running(self) -> list[Entry]:
        """Returns the running jobs, sorted by limit."""
        if self._running is None:
            self._running = self._machine.ran(self._since)
        return self._running


class Router(Protocol):
    """Decides for the run. `watches`: it reads snapshots."""

    watches: bool

    def arrived(self, request: Request) -> None: ...
    def started(self, job: Job) -> None: ...
    def home(self, job: Job) -> None:
        """Is called when the session of this copy is ready, the first of its request."""

    def died(self, job: Job, *, reached: bool) -> None:
        """Is called when a copy died before it was ready, or never reached its centre."""


class Run:
    """`check` checks at every event whether cores are conserved; `tell` receives the progress, from 0 to 1."""

    def __init__(
        self,
        workload: Workload,
        router: Callable[[Run], Router],
        *,
        check: bool = False,
        tell: Callable[[float], None] | None = None,
    ) -> None:
        self.workload, self.scenario = workload, workload.scenario
        self.now = 0.0
        self.check, self.tell = check, tell
        self.rng = Random(f"{self.scenario.seed}/policy")
        self.machines = [Machine(index, centre.cores, centre.phase) for index, centre in enumerate(workload.centres)]
        self.hole = 0 if self.scenario.black_hole else -1
        self.measured_from, self.measured_to = self.scenario.measured
        self.locals = [self._local(machine) for machine in self.machines]
        self.requests: list[Request] = []
        self.coming: list[dict[int, Job]] = [{} for _ in self.machines]
        self.views: list[View] = []
        self._order = count()
        self._events: list[tuple[float, int, Callable[[Any], None], Any]] = []
        self._next_ask = 0
        self.router = router(self)

    # ---- for routers

    def at(self, when: float, act: Callable[[Any], None], what: Any) -> None:
        heappush(self._events, (when, next(self._order), act, what))

    def centre(self, index: int) -> Local:
        """Returns one centre as it is now: all its own events until now have been played."""
        local = self.locals[index]
        local.play(self.now)
        return local

    def submit(self, request: Request, index: int) -> Job:
        job = self.centre(index).job(request.cores, request.run, request.walltime, request, self.now)
        request.copies.append(job)
        self.coming[index][job.number] = job
        self.at(self.now + SUBMIT, self._reach, job)
        return job

    def cancel(self, job: Job) -> None:
        """Cancels at once. A running job ends; a job that is on its way never arrives."""
        local = self.centre(job.machine)
        was, job.state = job.state, State.OVER
        if was == State.COMING:
            self.coming[job.machine].pop(job.number, None)
        elif was == State.QUEUED and job.machine != self.hole:
            if local.withdraw(job, self.now):
                self.at(self.now, self._serve, local)
            self._follow(local)
        elif was == State.RUNNING and job.machine != self.hole:
            local.stop(job, self.now)
            self._follow(local)

    def cancel_later(self, job: Job) -> None:
        if job.state != State.OVER:
            self.at(self.now + CANCEL, self._cancel_if_live, job)

    def fits(self, request: Request) -> list[int]:
        """Returns the centres that could ever run it."""
        return [machine.index for machine in self.machines if machine.cores >= request.cores]

    def give_up(self, request: Request) -> None:
        request.gave_up = True

    # ---- the run

    @property
    def background(self) -> list[int]:
        """Returns how many of each centre's own jobs have arrived."""
        return [local.place for local in self.locals]

    @property
    def background_waits(self) -> list[float]:
        """Returns the seconds that each of these jobs waited, of those that came in the measured time; centre by
        centre."""
        return [wait for local in self.locals for wait in local.waits]

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
        for local in self.locals:
            local.play(horizon)
            local.close(horizon)
        return self

    def _local(self, machine: Machine) -> Local:
        arrivals = self.workload.centres[machine.index].arrivals if machine.index != self.hole else ()
        return Local(machine, arrivals, self.scenario.measured, self._started, check=self.check)

    def _begin(self) -> None:
        self._push_ask()
        if self.router.watches:
            self.views = [View(machine, 0.0) for machine in self.machines]
            if self.scenario.snapshot_age:
                phases = Random(f"{self.scenario.seed}/watch")
                for index in range(len(self.machines)):
                    self.at(phases.uniform(0, self.scenario.snapshot_age), self._watch, index)
        if self.scenario.outages:
            for index, begin, end in outages_of(self.scenario, self.hole):
                self.at(begin, self._go_down, index)
                self.at(end, self._come_back, index)

    def _follow(self, local: Local) -> None:
        """Makes a centre's next event one of the run's, while a copy waits in its queue."""
        if local.copies and (due := local.next) != local.due:
            local.due = due
            self.at(due, self._go_on, local)

    def _go_on(self, local: Local) -> None:
        if local.due != self.now:
            return  # an earlier event came between
        local.due = -1.0
        local.play(min(self._events[0][0] if self._events else self.scenario.horizon, self.scenario.horizon))
        self._follow(local)

    def view(self, index: int) -> View:
        """Returns what is known about a centre now: with snapshots of age 0, everything."""
        if not self.scenario.snapshot_age:
            self._see(index)
        return self.views[index]

    def _watch(self, index: int) -> None:
        self._see(index)
        self.at(self.now + self.scenario.snapshot_age, self._watch, index)

    def _see(self, index: int) -> None:
        known, machine = self.views[index], self.centre(index).machine
        known.failing = not machine.up
        if known.failing:
            return
        if known.version == machine.version:
            known.taken_at = self.now
        else:
            self.views[index] = View(machine, self.now)

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
            local = self.centre(job.machine)
            local.take(job, self.now)
            self._follow(local)

    def _started(self, job: Job, now: float) -> None:
        self.now = now
        request = job.request
        assert request
        if request.winner:
            request.duplicates += 1
        else:
            request.winner, request.started_at = job, now
        self.router.started(job)
        if job.machine != self.hole:
            self.at(now + CALL_HOME, self._call_home, job)
            self.at(job.ends, self._ended, job)

    def _ended(self, job: Job) -> None:
        """Reports a copy's end in time, because a router sees whether its copies run."""
        self._follow(self.centre(job.machine))

    def _call_home(self, job: Job) -> None:
        if job.request and job.request.winner is job:
            self.router.home(job)

    def _serve(self, local: Local) -> None:
        local.play(self.now)
        local.settle(local.machine.serve(self.now), self.now)
        self._follow(local)

    def _cancel_if_live(self, job: Job) -> None:
        if job.state != State.OVER:
            self.cancel(job)

    # ---- faults

    def _fall_in(self, job: Job) -> None:
        job.state = State.RUNNING
        self._started(job, self.now)
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

    def _go_down(self, index: int) -> None:
        self.centre(index).machine.up = False

    def _come_back(self, index: int) -> None:
        local = self.centre(index)
        local.machine.up = True
        self._serve(local)
