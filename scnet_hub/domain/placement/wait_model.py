"""The wait model: whether a request would start now, soon or later on one offer.

Schedulers' own start times are right within a minute for only 4-17 % of jobs (arXiv 2204.13543), but their sign is
right: so there are four classes and words, and seconds that only order the offers of one class. Knows neither prices
nor other offers.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

from ..jobs import JobRequest
from .availability import Outlook
from .offers import Offer, shape_of

# Slurm's default bf_interval: the longest time that a job that fits a hole waits for the next look
BACKFILL_SECONDS = 30.0
TURN_SECONDS = 60.0  # no turn is expected sooner than a hole
LONGEST_SECONDS = 365 * 86400.0
END_SECONDS = 1200.0  # within which each running job has ended with probability 1/2 (simulated logs)
START_SECONDS = 1  # a submission that fits at once is started by the main scheduler


class Chance(IntEnum):
    """Best first. HOLE and NEXT are both "soon" to people: HOLE fits beside the queue, NEXT is first when a job
    ends."""

    NOW = 0
    HOLE = 1
    NEXT = 2
    LATER = 3


@dataclass(frozen=True, slots=True)
class Wait:
    """The expected start of a request. `seconds` is an estimate, None where there is no honest one; `words` is for
    people; `look` is when the scheduler next looks for holes, for a hole where that is known."""

    chance: Chance
    words: str
    seconds: float | None = None
    look: datetime | None = None

    @property
    def kind(self) -> str:
        """Returns "now", "soon" or "later"."""
        return ("now", "soon", "soon", "later")[self.chance]


NOBODY_KNOWS = Wait(Chance.LATER, "after an unknown wait")
AT_ONCE = Wait(Chance.NOW, "now", START_SECONDS)


def expect(request: JobRequest, offer: Offer, now: datetime) -> Wait:
    """Returns the wait of `request` on `offer` at `now`, after our own submissions newer than the snapshot have taken
    their share."""
    seen = offer.seen
    if seen is None:
        return NOBODY_KNOWS
    shape, nodes = shape_of(request, offer), max(request.nodes, 1)
    cores, gpus = shape.cores * nodes, shape.gpus * nodes
    fits = seen.holds(shape) >= nodes
    if fits and not seen.queued:
        return AT_ONCE
    if (
        fits
        and _looked_at(seen)
        and (seen.plan is None or seen.plan.holds(shape.cores, shape.gpus, nodes, now, request.walltime))
    ):
        look = seen.backfill.after(now + timedelta(seconds=START_SECONDS)) if seen.backfill else None
        seconds = (look - now).total_seconds() if look else BACKFILL_SECONDS
        return Wait(Chance.HOLE, f"within a minute, beside {_jobs(seen.queued)}", seconds, look)
    turn = _turn(seen, cores, gpus)
    if not seen.queued:
        by_limits = _until(seen.frees(cores, gpus), now)
        return Wait(
            Chance.NEXT, "next, when a job ends there", min((one for one in (turn, by_limits) if one), default=None)
        )
    if fits and seen.plan:  # the free cores are reserved for a job of the queue
        kept = _until(seen.plan.earliest(shape.cores, shape.gpus, nodes, request.walltime), now)
        turn = max((one for one in (turn, kept) if one), default=None)
    return Wait(Chance.LATER, f"behind {_jobs(seen.queued)}", turn)


def fullness(request: JobRequest, offer: Offer) -> float:
    """Returns booked, queued and own newer work relative to the partition's size: 0 idle, 1 full, more with a queue.
    For a request with GPUs, the value of the GPUs if that is more."""
    seen = offer.seen
    if seen is None:
        return float("inf")
    of_cores = _share(seen.cores - seen.cores_free + seen.queued_cores, seen.cores)
    return max(of_cores, _share(seen.gpus - seen.gpus_free, seen.gpus)) if request.gpus else of_cores


def _looked_at(seen: Outlook) -> bool:
    """Tells whether a newcomer would be among the queued jobs for which its scheduler looks for holes."""
    depth = seen.backfill.depth if seen.backfill else None
    return depth is None or seen.queued < depth


def _turn(seen: Outlook, cores: int, gpus: int) -> float | None:
    """Returns the seconds until the queue has had its turn and there is room; None if no job runs there that could end.
    Estimated from how many running jobs have to end first, not from their limits, which say little about when they end:
    in the simulated logs this order of centres agrees with the order in which they really started the same request
    (rank correlation 0.6), and the order by limits hardly does (0.1)."""
    if not seen.running:
        return None
    ends = max(
        _ends(cores, seen.cores_free, seen.cores, seen.running), _ends(gpus, seen.gpus_free, seen.gpus, seen.running)
    )
    return min(max(TURN_SECONDS, END_SECONDS * (seen.queued + ends) / seen.running), LONGEST_SECONDS)


def _until(at: datetime | None, now: datetime) -> float | None:
    return None if at is None else max(TURN_SECONDS, (at - now).total_seconds())


def _ends(wanted: int, free: int, total: int, running: int) -> float:
    """Returns how many of `running` jobs of equal size have to end for that."""
    each = max((total - max(free, 0)) / running, 1.0)
    return max(1.0, (wanted - max(free, 0)) / each)


def _share(used: int, total: int) -> float:
    return used / total if total else float("inf")


def _jobs(number: int) -> str:
    return f"{number} queued job" if number == 1 else f"{number} queued jobs"
