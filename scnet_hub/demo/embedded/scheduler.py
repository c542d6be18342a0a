"""Jobs, nodes and the next job to start: first come first served, with backfill. Pure: `now` is an argument.

Knows counts of cores, memory and GPUs, and nothing of processes, sockets or Slurm's commands. The first job that does
not fit gets a reservation at the earliest time at which it can start if everything runs to its limit; a later job may
start now only if that does not delay the reservation (EASY backfill).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

PENDING, RUNNING = "PENDING", "RUNNING"
DEPTH = 500  # waiting jobs that one decision examines


@dataclass(frozen=True, slots=True)
class Node:
    name: str
    address: str
    cores: int
    memory: int
    gpus: int


@dataclass(frozen=True, slots=True)
class Need:
    """The resources that each of `nodes` nodes must give."""

    nodes: int = 1
    cores: int = 1
    memory: int = 0
    gpus: int = 0


@dataclass(frozen=True, slots=True)
class Spot:
    """A job's part of one node; `gpus` are the numbers of its GPUs there."""

    node: str
    gpus: tuple[int, ...] = ()


@dataclass(slots=True, kw_only=True)
class Step:
    """One srun of a job. Times are seconds since 1970, 0: not yet; `cpu` is seconds."""

    id: int = 0
    name: str
    tasks: int
    nodes: tuple[str, ...]
    cores: int
    started_at: float = 0.0
    ended_at: float = 0.0
    code: int = 0
    signal: int = 0
    cpu: float = 0.0


@dataclass(slots=True, kw_only=True)
class Job:
    """One job, from submission to accounting. Times are seconds since 1970, 0: not yet. `ending` is the future state of
    a job that is being killed; `pretend` is how many seconds a job without a process runs (0: a real job).
    `memory_per_core` is bytes if memory was requested per core or not at all; `gpu_model` and `tasks_per_node` are as
    requested, "" and 0 for any."""

    id: int = 0
    name: str
    user: str
    partition: str
    need: Need
    limit: int
    tasks: int = 1
    tasks_per_node: int = 0
    cores_per_task: int = 1
    account: str = ""
    submitted_at: float = 0.0
    started_at: float = 0.0
    ended_at: float = 0.0
    state: str = PENDING
    reason: str = ""
    starts_at: float = 0.0
    spots: tuple[Spot, ...] = ()
    ending: str = ""
    code: int = 0
    signal: int = 0
    cpu: float = 0.0
    pretend: float = 0.0
    pid: int = 0
    born: float = 0.0
    command: str = ""
    arguments: tuple[str, ...] = ()
    directory: str = "/tmp"
    output: str = ""
    errors: str = ""
    append: bool = False
    comment: str = ""
    memory_per_core: int = 0
    gpu_model: str = ""
    steps: tuple[Step, ...] = ()

    @property
    def cores(self) -> int:
        return self.need.nodes * self.need.cores

    def elapsed(self, now: float) -> int:
        return max(0, int((self.ended_at or now) - self.started_at)) if self.started_at else 0

    def ends_by(self, now: float) -> float:
        return max(self.started_at + self.limit, now)


@dataclass(slots=True)
class Free:
    """The free resources of one node."""

    cores: int
    memory: int
    gpus: tuple[int, ...]

    def holds(self, need: Need) -> bool:
        return self.cores >= need.cores and self.memory >= need.memory and len(self.gpus) >= need.gpus

    def without(self, need: Need, spot: Spot) -> Free:
        return Free(
            self.cores - need.cores, self.memory - need.memory, tuple(gpu for gpu in self.gpus if gpu not in spot.gpus)
        )

    def with_again(self, need: Need, spot: Spot) -> Free:
        return Free(self.cores + need.cores, self.memory + need.memory, tuple(sorted({*self.gpus, *spot.gpus})))


@dataclass(frozen=True, slots=True)
class Decision:
    """Jobs to start now and where; why the others wait; when the first of them can start at the latest."""

    starts: Mapping[int, tuple[Spot, ...]] = field(default_factory=dict)
    reasons: Mapping[int, str] = field(default_factory=dict)
    starts_at: Mapping[int, float] = field(default_factory=dict)


Left = dict[str, Free]


def left_of(nodes: Iterable[Node], running: Iterable[Job]) -> Left:
    left = {node.name: Free(node.cores, node.memory, tuple(range(node.gpus))) for node in nodes}
    for job in running:
        _take(left, job.need, job.spots)
    return left


def decide(nodes: Sequence[Node], running: Sequence[Job], pending: Sequence[Job], now: float) -> Decision:
    """Decides which jobs start now. `pending` is in the order of arrival."""
    left = left_of(nodes, running)
    busy = [(job.ends_by(now), job.need, job.spots) for job in running]
    starts: dict[int, tuple[Spot, ...]] = {}
    reasons: dict[int, str] = {}
    starts_at: dict[int, float] = {}
    reserved: Left | None = None  # left when the first waiting job has started
    reserved_at = 0.0
    for job in pending[:DEPTH]:
        spots = fit(job.need, left)
        if spots and (reserved is None or now + job.limit <= reserved_at or _spare(job.need, spots, reserved)):
            starts[job.id] = spots
            _take(left, job.need, spots)
            busy.append((now + job.limit, job.need, spots))
        elif reserved is None:
            reserved_at, reserved = _reserve(job.need, left, busy, now)
            reasons[job.id], starts_at[job.id] = "Resources", reserved_at
        else:
            reasons[job.id] = "Priority"
    return Decision(starts, reasons, starts_at)


def fit(need: Need, left: Left) -> tuple[Spot, ...]:
    """Returns spots for `need` in the order of the nodes, on the fullest nodes that hold it, so that big holes stay; ()
    if it does not fit."""
    able = sorted((free.cores, place, name) for place, (name, free) in enumerate(left.items()) if free.holds(need))
    if len(able) < need.nodes:
        return ()
    return tuple(Spot(name, left[name].gpus[: need.gpus]) for _, name in sorted(one[1:] for one in able[: need.nodes]))


def _reserve(
    need: Need, left: Left, busy: Iterable[tuple[float, Need, tuple[Spot, ...]]], now: float
) -> tuple[float, Left]:
    """Returns when `need` fits if all jobs run to their limits, and the resources that are left beside it."""
    later, at = dict(left), now
    for at, other, spots in sorted(busy, key=lambda one: one[0]):
        for spot in spots:
            later[spot.node] = later[spot.node].with_again(other, spot)
        if found := fit(need, later):
            _take(later, need, found)
            return at, later
    return at, later


def _spare(need: Need, spots: Sequence[Spot], reserved: Left) -> bool:
    """Returns whether these spots stay free beside the reservation; if so, takes them from the reservation's rest
    too."""
    if not all(reserved[spot.node].holds(need) for spot in spots):
        return False
    _take(reserved, need, spots)
    return True


def _take(left: Left, need: Need, spots: Iterable[Spot]) -> None:
    for spot in spots:
        left[spot.node] = left[spot.node].without(need, spot)
