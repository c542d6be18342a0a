"""One centre's scheduler: a pool of equal cores, first come first served, with EASY backfill.

The first job in the queue starts as soon as there is room. Every half minute the next hundred jobs are examined: a job
starts if, by its user's estimate, it ends before the first job would start, or if it fits beside that job (Mu'alem and
Feitelson, TPDS 12(6), 2001). Knows no clock and no events: `run.py` says when.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

from .model import Job

DEPTH = 100  # queued jobs that a pass examines: Slurm's bf_max_job_test is 100 to 500
FOREVER = float("inf")


Entry = tuple[float, int, int, Job]  # limit, number, cores, job


class Since:
    """Lists the jobs that started or ended after a snapshot, each once for either, and those after the next
    snapshot."""

    __slots__ = ("jobs", "later")

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.later: Since | None = None


class Machine:
    """`running` and `queue` are by number, in the order of start and of arrival. `version` counts changes. Only a job's
    `limit` is ever changed here, and only when the job starts: so a `copy` can be played on without harm to the
    original."""

    __slots__ = ("_since", "cores", "free", "index", "phase", "queue", "queued_cores", "running", "up", "version")

    def __init__(self, index: int, cores: int, phase: float = 0.0) -> None:
        self.index, self.cores, self.free, self.phase = index, cores, cores, phase
        self.queue: dict[int, Job] = {}
        self.queued_cores = 0
        self.running: dict[int, Job] = {}
        self.version = 0
        self.up = True
        self._since: Since | None = None  # None: there is no snapshot

    def copy(self) -> Machine:
        other = Machine(self.index, self.cores, self.phase)
        other.free, other.queued_cores, other.up = self.free, self.queued_cores, self.up
        other.queue, other.running = self.queue.copy(), self.running.copy()
        return other

    def submit(self, job: Job, now: float) -> bool:
        """Adds a job; returns whether it starts at once."""
        self.version += 1
        if not self.queue and job.cores <= self.free and self.up:
            self._start(job, now)
            return True
        self.queue[job.number] = job
        self.queued_cores += job.cores
        return False

    def finish(self, job: Job) -> None:
        self.version += 1
        del self.running[job.number]
        self.free += job.cores
        if self._since:
            self._since.jobs.append(job)

    def withdraw(self, job: Job) -> bool:
        """Removes a job from the queue; returns whether it was the first."""
        self.version += 1
        first = next(iter(self.queue)) == job.number
        self._leave(job)
        return first

    def serve(self, now: float) -> list[Job]:
        """Starts jobs from the front of the queue while there is room."""
        started: list[Job] = []
        while self.queue and self.up:
            job = next(iter(self.queue.values()))
            if job.cores > self.free:
                break
            self._leave(job)
            self._start(job, now)
            started.append(job)
        self.version += bool(started)
        return started

    def backfill(self, now: float) -> list[Job]:
        """Makes one pass: starts the jobs that do not delay the first in the queue."""
        if len(self.queue) < 2 or not self.free or not self.up:
            return []
        shadow, beside = self.shadow(next(iter(self.queue.values())).cores)
        started, free = [], self.free
        for job in islice(self.queue.values(), 1, DEPTH):
            cores = job.cores
            if cores > free:
                continue
            if now + job.estimate > shadow:
                if cores > beside:
                    continue
                beside -= cores
            started.append(job)
            free -= cores
            if not free:
                break
        for job in started:
            self._leave(job)
            self._start(job, now)
        self.version += bool(started)
        return started

    def shadow(self, cores: int) -> tuple[float, int]:
        """Returns when at the latest this number of cores is free, and how many more cores are free then."""
        return shadow(self.free, by_limit(self.running), cores)

    def remember(self) -> Since:
        """Begins to record the changes from now on, for `ran`."""
        since = Since()
        if self._since:
            self._since.later = since
        self._since = since
        return since

    def ran(self, since: Since | None) -> list[Entry]:
        """Returns the jobs that ran when `remember` returned this, by limit: a snapshot copies no list of running jobs,
        which is hardly ever needed."""
        found = self.running.copy()
        while since:
            for job in since.jobs:
                if found.pop(job.number, None) is None:
                    found[job.number] = job
            since = since.later
        return by_limit(found)

    def conserved(self) -> bool:
        """Returns whether no core is lost or used twice, and the queue adds up."""
        busy = sum(job.cores for job in self.running.values())
        return (
            self.free >= 0
            and self.free + busy == self.cores
            and self.queued_cores == sum(job.cores for job in self.queue.values())
        )

    def _start(self, job: Job, now: float) -> None:
        self.free -= job.cores
        job.limit = now + job.estimate
        self.running[job.number] = job
        if self._since:
            self._since.jobs.append(job)

    def _leave(self, job: Job) -> None:
        del self.queue[job.number]
        self.queued_cores -= job.cores


def by_limit(running: Mapping[int, Job]) -> list[Entry]:
    return sorted([(job.limit, job.number, job.cores, job) for job in running.values()])


def shadow(free: int, running: Sequence[Entry], cores: int) -> tuple[float, int]:
    """Implements `Machine.shadow`; `running` is sorted by limit."""
    if cores <= free:
        return 0.0, free - cores
    for limit, _, held, _ in running:
        free += held
        if free >= cores:
            return limit, free - cores
    return FOREVER, 0


def next_pass(phase: float, now: float, every: float) -> float:
    """Returns the first time after `now` at which a scheduler with this phase looks."""
    return phase + ((now - phase) // every + 1) * every
