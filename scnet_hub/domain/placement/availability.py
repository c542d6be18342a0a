"""Reads a partition's load for newcomers: the free shapes, later releases, and the plan of its queue.

`look` reads a `PartitionLoad` once; `after` subtracts our own newer submissions. Both only give facts and sums;
`wait_model.py` says which request starts when.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from ..jobs import Backfill, Booking, NodeLoad, PartitionLoad
from .backfill_plan import Plan, plan
from .fast_replace import alike, made

UNCOUNTED = 2**62  # bytes: a scheduler that does not book memory never refuses a job for it


class Shape(NamedTuple):
    """The free resources that a node must have: cores, GPUs, and memory in bytes (0: not counted)."""

    cores: int
    gpus: int = 0
    memory: int = 0


class Release(NamedTuple):
    """A release: from `at` on, at least so many more cores and GPUs are free than now."""

    at: datetime
    cores: int
    gpus: int


class Releases:
    """Running totals of the resources that running jobs give back, computed when first asked for. A partition may run
    ten thousand jobs, every snapshot shows them again, and a request only asks where nothing waits and nothing fits."""

    __slots__ = ("_at", "_running", "_totals")

    def __init__(self, running: Sequence[Booking], at: datetime | None) -> None:
        self._running, self._at = running, at
        self._totals: tuple[Release, ...] | None = None if at else ()

    @property
    def totals(self) -> tuple[Release, ...]:
        if self._totals is None and self._at:
            self._totals = _releases(self._running, self._at)
        return self._totals or ()


@dataclass(frozen=True, kw_only=True)  # without slots: see `alike`
class Outlook:
    """One partition for any newcomer. `free` and `whole` are the distinct shapes of its nodes that are up, as they are
    and as they would be if empty, each with its count. `plan` is None where nothing waits, nothing is free, or the
    limits of running and waiting jobs are unknown."""

    free: tuple[tuple[Shape, int], ...]
    whole: tuple[tuple[Shape, int], ...]
    cores: int
    cores_free: int
    gpus: int
    gpus_free: int
    queued: int
    queued_cores: int
    running: int
    releases: Releases = field(default=Releases((), None), compare=False, repr=False)
    plan: Plan | None = None
    backfill: Backfill | None = None

    @property
    def working(self) -> int:
        """Returns the number of nodes that are up."""
        return sum(count for _, count in self.whole)

    def holds(self, shape: Shape) -> int:
        """Returns how many nodes have room for this shape now."""
        return _room(self.free, shape)

    def could_hold(self, shape: Shape) -> int:
        """Returns how many nodes would have room if they were empty; memory counts only where the scheduler reports
        it."""
        return _room(self.whole, shape)

    def frees(self, cores: int, gpus: int) -> datetime | None:
        """Returns when so many cores and GPUs are free at the latest, if no other job came; None if the running jobs'
        limits don't say."""
        enough = (
            one.at
            for one in self.releases.totals
            if self.cores_free + one.cores >= cores and self.gpus_free + one.gpus >= gpus
        )
        return next(enough, None)


def look(load: PartitionLoad, at: datetime) -> Outlook:
    """Returns the outlook of `load` as it was `at` (aware)."""
    up = [node for node in load.nodes if node.up]
    cores, gpus = sum([node.cores for node in up]), sum([node.gpus for node in up])
    plain = made(
        Outlook,
        free=_counted(_left(node) for node in up), whole=_counted(_whole(node) for node in up),
        cores=cores, cores_free=cores - sum([node.cores_used for node in up]),
        gpus=gpus, gpus_free=gpus - sum([node.gpus_used for node in up]),
        queued=load.queued_jobs, queued_cores=load.queued_cores, running=load.running_jobs, backfill=load.backfill,
        releases=Releases(load.running, at),
    )  # fmt: skip
    known = bool(load.waiting) and (bool(load.running) or not load.running_jobs)
    return alike(plain, plan=plan(load, at)) if known and plain.cores_free else plain


def after(seen: Outlook, own: Sequence[Shape]) -> Outlook:
    """Returns the outlook after our own newer submissions, each a node's share. A share without room joins the
    queue."""
    free = [shape for shape, count in seen.free for _ in range(count)]
    queued, queued_cores, cores, gpus = seen.queued, seen.queued_cores, seen.cores_free, seen.gpus_free
    for shape in own:
        place = next((index for index, have in enumerate(free) if fits(have, shape)), None)
        if place is None:
            queued, queued_cores = queued + 1, queued_cores + shape.cores
            continue
        free[place] = Shape(*(have - take for have, take in zip(free[place], shape, strict=True)))
        cores, gpus = cores - shape.cores, gpus - shape.gpus
    plan = seen.plan and seen.plan.after((shape.cores, shape.gpus) for shape in own)
    return alike(
        seen, free=_counted(free), cores_free=cores, gpus_free=gpus, queued=queued, queued_cores=queued_cores, plan=plan
    )


def _room(shapes: Iterable[tuple[Shape, int]], wanted: Shape) -> int:
    cores, gpus, memory = wanted
    total = 0
    for have, count in shapes:
        if have[0] >= cores and have[1] >= gpus and have[2] >= memory:
            total += count
    return total


def fits(free: Shape, shape: Shape) -> bool:
    return free[0] >= shape[0] and free[1] >= shape[1] and free[2] >= shape[2]


def _counted(shapes: Iterable[Shape]) -> tuple[tuple[Shape, int], ...]:
    every = list(shapes)
    return ((every[0], 1),) if len(every) == 1 else tuple(sorted(Counter(every).items()))


def _left(node: NodeLoad) -> Shape:
    memory = node.memory - node.memory_used if node.memory else UNCOUNTED
    return Shape(node.cores - node.cores_used, node.gpus - node.gpus_used, memory)


def _whole(node: NodeLoad) -> Shape:
    return Shape(node.cores, node.gpus, node.memory or UNCOUNTED)


def _releases(running: Iterable[Booking], at: datetime) -> tuple[Release, ...]:
    """Returns running totals; a job past its limit counts as about to end."""
    total, cores, gpus = [], 0, 0
    for one in sorted(running, key=lambda one: one.ends_at):
        cores, gpus = cores + one.cores, gpus + one.gpus
        total.append(Release(max(one.ends_at, at), cores, gpus))
    return tuple(total)
