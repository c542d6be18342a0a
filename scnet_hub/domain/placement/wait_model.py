"""The wait model: whether a request would start now, soon or later on one offer.

Schedulers' own start times are within a minute for 4-17 % of jobs only (arXiv 2204.13543), but their sign is right: so
four classes and words, and seconds that only order the offers of one class. Knows nothing of prices and of other offers.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

from ..jobs import JobRequest
from .availability import Outlook
from .offers import Offer, shape_of

BACKFILL_SECONDS = 30.0  # Slurm's default bf_interval: how long a job that fits a hole waits for the next look, at most
TURN_SECONDS = 60.0  # no turn is expected sooner than a hole
LONGEST_SECONDS = 365 * 86400.0
END_SECONDS = 1200.0  # in which each running job has ended, half the time (simulated logs)
START_SECONDS = 1  # a submission that fits at once is started by the main scheduler


class Chance(IntEnum):
    """Best first. HOLE and NEXT are both "soon" to people: HOLE fits beside the queue, NEXT is first when something ends."""

    NOW = 0
    HOLE = 1
    NEXT = 2
    LATER = 3


@dataclass(frozen=True, slots=True)
class Wait:
    """When it would start. `seconds` is an estimate, None where nothing honest can be said; `words` is for people; `look` is when the
    scheduler next looks for holes, where that is known and this is one."""

    chance: Chance
    words: str
    seconds: float | None = None
    look: datetime | None = None

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
    if fits and _looked_at(seen) and (seen.plan is None or seen.plan.holds(shape.cores, shape.gpus, nodes, now, request.walltime)):
        look = seen.backfill.after(now + timedelta(seconds=START_SECONDS)) if seen.backfill else None
        seconds = (look - now).total_seconds() if look else BACKFILL_SECONDS
        return Wait(Chance.HOLE, f"within a minute, beside {_jobs(seen.queued)}", seconds, look)
    turn = _turn(seen, cores, gpus)
    if not seen.queued:
        by_limits = _until(seen.frees(cores, gpus), now)
        return Wait(Chance.NEXT, "next, when something ends there", min((one for one in (turn, by_limits) if one), default=None))
    if fits and seen.plan:  # what is free is kept for a job of the queue
        kept = _until(seen.plan.earliest(shape.cores, shape.gpus, nodes, request.walltime), now)
        turn = max((one for one in (turn, kept) if one), default=None)
    return Wait(Chance.LATER, f"behind {_jobs(seen.queued)}", turn)


def fullness(request: JobRequest, offer: Offer) -> float:
    """Booked, queued and own newer work over what the partition has: 0 idle, 1 full, more with a queue. For a request
    with GPUs it is that of the GPUs if that is more."""
    seen = offer.seen
    if seen is None:
        return float("inf")
    of_cores = _share(seen.cores - seen.cores_free + seen.queued_cores, seen.cores)
    return max(of_cores, _share(seen.gpus - seen.gpus_free, seen.gpus)) if request.gpus else of_cores


def _looked_at(seen: Outlook) -> bool:
    """Whether a newcomer is among the queued jobs for which its scheduler looks for holes."""
    depth = seen.backfill.depth if seen.backfill else None
    return depth is None or seen.queued < depth


def _turn(seen: Outlook, cores: int, gpus: int) -> float | None:
    """Until those in the queue have had their turn and there is room; None if nothing runs there that could end. By how many running jobs
    have to end first, not by their limits, which say little about when they do: in the simulated logs the order of centres by this agrees
    with the order in which they really started the same request (rank correlation 0.6), and by limits it hardly does (0.1)."""
    if not seen.running:
        return None
    ends = max(_ends(cores, seen.cores_free, seen.cores, seen.running), _ends(gpus, seen.gpus_free, seen.gpus, seen.running))
    return min(max(TURN_SECONDS, END_SECONDS * (seen.queued + ends) / seen.running), LONGEST_SECONDS)


def _until(at: datetime | None, now: datetime) -> float | None:
    return None if at is None else max(TURN_SECONDS, (at - now).total_seconds())


def _ends(wanted: int, free: int, total: int, running: int) -> float:
    """How many of so many running jobs, all alike, have to end for that."""
    each = max((total - max(free, 0)) / running, 1.0)
    return max(1.0, (wanted - max(free, 0)) / each)


def _share(used: int, total: int) -> float:
    return used / total if total else float("inf")


def _jobs(number: int) -> str:
    return f"{number} queued job" if number == 1 else f"{number} queued jobs"
