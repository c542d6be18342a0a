"""The wait model: whether a request would start now, soon or later on one offer.

Schedulers' own start times are within a minute for 4-17 % of jobs only (arXiv 2204.13543), but their sign is right: so
four classes and words, and seconds that only order the offers of one class. Knows nothing of prices and of other offers.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from ..jobs import JobRequest
from .offers import Offer, shape_of
from .outlook import Outlook

BACKFILL_SECONDS = 30  # Slurm's default bf_interval: how long a job that fits a hole waits for the next look
NEXT_SECONDS, LATER_SECONDS = 60.0, 120.0  # no promise is better than that of a hole
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


NOBODY_KNOWS = Wait(Chance.LATER, "after a wait that nobody can tell yet")
AT_ONCE = Wait(Chance.NOW, "now", START_SECONDS)


def expect(request: JobRequest, offer: Offer, now: datetime) -> Wait:
    """The wait of `request` on `offer` at `now`, after our own submissions newer than the snapshot have taken their share."""
    seen = offer.seen
    if seen is None:
        return NOBODY_KNOWS
    shape, nodes = shape_of(request, offer), max(request.nodes, 1)
    cores, gpus = shape.cores * nodes, shape.gpus * nodes
    fits = seen.holds(shape) >= nodes
    if fits and not seen.queued:
        return AT_ONCE
    if fits and (seen.plan is None or seen.plan.holds(shape.cores, shape.gpus, nodes, now, request.walltime)):
        return Wait(Chance.HOLE, f"within a minute, beside {_jobs(seen.queued)}", BACKFILL_SECONDS)
    if not seen.queued:
        return Wait(Chance.NEXT, "next, when something ends there", _until(seen.frees(cores, gpus), now, NEXT_SECONDS))
    return Wait(Chance.LATER, f"behind {_jobs(seen.queued)}", _until(_turn(seen, cores, gpus), now, LATER_SECONDS))


def fullness(request: JobRequest, offer: Offer) -> float:
    """Booked, queued and own newer work over what the partition has: 0 idle, 1 full, more with a queue. For a request
    with GPUs it is that of the GPUs if that is more."""
    seen = offer.seen
    if seen is None:
        return float("inf")
    of_cores = _share(seen.cores - seen.cores_free + seen.queued_cores, seen.cores)
    return max(of_cores, _share(seen.gpus - seen.gpus_free, seen.gpus)) if request.gpus else of_cores


def _turn(seen: Outlook, cores: int, gpus: int) -> datetime | None:
    """When those before it would have had their turn: never before there is room for it."""
    times = [at for at in (seen.drains_at, seen.frees(cores, gpus)) if at]
    return max(times, default=None)


def _until(at: datetime | None, now: datetime, least: float) -> float | None:
    return None if at is None else max(least, (at - now).total_seconds())


def _share(used: int, total: int) -> float:
    return used / total if total else float("inf")


def _jobs(number: int) -> str:
    return f"{number} queued job" if number == 1 else f"{number} queued jobs"
