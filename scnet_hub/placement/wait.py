"""The wait model: whether a request would start now, soon or later on one offer.

Schedulers' own start times are within a minute for 4-17 % of jobs only (arXiv 2204.13543), but their sign is right: so
three classes and words, and seconds only where a number can be kept. Knows nothing of prices and of other offers.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from ..jobs import JobRequest, NodeLoad, PartitionLoad
from .offers import Offer, Shape, shape_of

BACKFILL_SECONDS = 30  # Slurm's default bf_interval: how long a job that fits a hole waits for the next look
START_SECONDS = 1  # a submission that fits at once is started by the main scheduler


class Chance(IntEnum):
    """Best first. HOLE and NEXT are both "soon" to people: HOLE fits beside the queue, NEXT is first when something ends."""

    NOW = 0
    HOLE = 1
    NEXT = 2
    LATER = 3


@dataclass(frozen=True, slots=True)
class Wait:
    """When it would start. `seconds` is an estimate, None where nothing honest can be said; `words` is for people."""

    chance: Chance
    words: str
    seconds: float | None = None

    @property
    def kind(self) -> str:
        """ "now", "soon" or "later"."""
        return ("now", "soon", "soon", "later")[self.chance]


def expect(request: JobRequest, offer: Offer) -> Wait:
    """The wait of `request` on `offer`, after our own submissions newer than the snapshot have taken their share."""
    if offer.load is None:
        return Wait(Chance.LATER, "after a wait that nobody can tell yet")
    free, waiting = _after_own(offer)
    queued = offer.load.queued_jobs + waiting
    fits = sum(_fits(node, shape_of(request, offer)) for node in free) >= max(request.nodes, 1)
    if fits and not queued:
        return Wait(Chance.NOW, "now", START_SECONDS)
    if fits:
        return Wait(Chance.HOLE, f"within a minute, beside {_jobs(queued)}", BACKFILL_SECONDS)
    if not queued:
        return Wait(Chance.NEXT, "next, when something ends there")
    return Wait(Chance.LATER, f"behind {_jobs(queued)}")


def free_cores(offer: Offer) -> int:
    """Cores free now, less what our own newer submissions will take; never below zero."""
    return max(0, offer.load.cores_free - sum(own.cores for own in offer.pending)) if offer.load else 0


def free_gpus(offer: Offer) -> int:
    """The same for GPUs."""
    return max(0, offer.load.gpus_free - sum(own.gpus for own in offer.pending)) if offer.load else 0


def fullness(request: JobRequest, offer: Offer) -> float:
    """Booked, queued and own newer work over what the partition has: 0 idle, 1 full, more with a queue. For a request
    with GPUs it is that of the GPUs if that is more."""
    if offer.load is None:
        return float("inf")
    load = offer.load
    own_cores, own_gpus = sum(own.cores for own in offer.pending), sum(own.gpus for own in offer.pending)
    of_cores = _share(load.cores - load.cores_free + load.queued_cores + own_cores, load.cores)
    return max(of_cores, _share(load.gpus - load.gpus_free + own_gpus, load.gpus)) if request.gpus else of_cores


def _after_own(offer: Offer) -> tuple[list[Shape], int]:
    """What each node has free once our own newer submissions are on it, and how many of them found no place."""
    free = _free(offer.load) if offer.load else []
    waiting = 0
    for own in offer.pending:
        place = next((i for i, node in enumerate(free) if _fits(node, own)), None)
        if place is None:
            waiting += 1
        else:
            free[place] = Shape(*(have - take for have, take in zip(free[place], own, strict=True)))
    return free, waiting


def _free(load: PartitionLoad) -> list[Shape]:
    return [_left(node) for node in load.nodes if node.up]


def _left(node: NodeLoad) -> Shape:
    unknown = 2**62  # bytes: a scheduler that does not book memory never refuses for it
    return Shape(node.cores - node.cores_used, node.gpus - node.gpus_used, node.memory - node.memory_used if node.memory else unknown)


def _fits(free: Shape, shape: Shape) -> bool:
    return all(have >= need for have, need in zip(free, shape, strict=True))


def _share(used: int, total: int) -> float:
    return used / total if total else float("inf")


def _jobs(number: int) -> str:
    return f"{number} queued job" if number == 1 else f"{number} queued jobs"
