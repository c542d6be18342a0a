"""The plain policies: each sends a request to one centre, by chance, in turn or by snapshots, and leaves it there.

They have the product's information except its own newer submissions, so they show the value of each idea alone. A
request whose session dies is sent again by the same rule, at most eight times.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush

from .local import CYCLE
from .machine import DEPTH, Machine, shadow
from .model import Job, Request
from .run import MOST_TRIES, SUBMIT, Run, View

Choose = Callable[[Run, Request], int]


class Single:
    """A router that chooses once for each request."""

    def __init__(self, run: Run, choose: Choose, *, watches: bool) -> None:
        self.run, self.choose, self.watches = run, choose, watches

    def arrived(self, request: Request) -> None:
        self.run.submit(request, self.choose(self.run, request))

    def started(self, job: Job) -> None:
        pass

    def home(self, job: Job) -> None:
        pass

    def died(self, job: Job, *, reached: bool) -> None:
        request = job.request
        assert request
        if len(request.copies) < MOST_TRIES:
            self.arrived(request)
        else:
            self.run.give_up(request)


def random(run: Run, request: Request) -> int:
    return run.rng.choice(run.fits(request))


def in_turn() -> Choose:
    """Chooses all centres in turn; a centre that is too small is skipped."""
    turn = 0

    def choose(run: Run, request: Request) -> int:
        nonlocal turn
        while True:
            turn = (turn + 1) % len(run.machines)
            if run.machines[turn].cores >= request.cores:
                return turn

    return choose


def least_loaded(run: Run, request: Request) -> int:
    return min(run.fits(request), key=lambda index: (load(run.view(index)), index))


def power_of_two(run: Run, request: Request) -> int:
    fits = run.fits(request)
    two = run.rng.sample(fits, min(2, len(fits)))
    return min(two, key=lambda index: load(run.view(index)))


def earliest_start(run: Run, request: Request) -> int:
    """Returns the best start: at once, in the next look for holes, or later by the plan of users' estimates; among
    equals the emptiest centre."""
    return min(
        run.fits(request),
        key=lambda index: (*expected(run.view(index), request, run.now), load(run.view(index)), index),
    )


def load(view: View | Machine) -> float:
    """Returns used and queued cores as a share of all cores."""
    return (view.cores - view.free + view.queued_cores) / view.cores


def expected(view: View, request: Request, now: float) -> tuple[int, float]:
    """Returns the class (0 at once, 1 in a hole, 2 later), and the time."""
    if request.cores <= view.free:
        if not view.queued:
            return 0, now + SUBMIT
        when, beside = shadow(view.free, view.running, view.waiting[0].cores)
        if now + request.walltime <= when or request.cores <= beside:
            return 1, now + CYCLE
    return 2, max(now, behind(view, request.cores))


def behind(view: View, cores: int) -> float:
    """Returns when this number of cores would be free after all queued jobs had their turn, if all ran as long as
    estimated."""
    if view.behind is None:
        view.behind = _turns(view)
    free, at, releases = view.behind
    for limit, more in releases:
        if free >= cores:
            break
        free, at = free + more, max(at, limit)
    return float(at)


def _turns(view: View) -> tuple[int, float, list[tuple[float, int]]]:
    """Plays first come first served by estimates: returns the free cores once the last job has started, that time, and
    the cores that become free after it."""
    free, at = view.free, view.taken_at
    releases = [(limit, cores) for limit, _, cores, _ in view.running]
    heapify(releases)
    for job in view.waiting[:DEPTH]:
        while free < job.cores and releases:
            limit, cores = heappop(releases)
            free, at = free + cores, max(at, limit)
        free -= job.cores
        heappush(releases, (at + job.estimate, job.cores))
    return free, at, sorted(releases)
