"""Places all jobs of a cluster as a whole: at the place that has most of them soonest.

A job of four cores fits nearly everywhere, so the best place for the first job says little about the fifth. Each job
takes its share before the next is judged, as our own newer submissions do. Pure; `placement` decides which places fit.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from ..jobs import JobRequest
from .availability import after
from .calibration import UNTRIED, Forecast
from .fast_replace import alike
from .offers import shape_of
from .policies import Ranked, delay, judge
from .wait_model import Chance

MOST_JOBS = 256  # that one decision counts
PLACES = 8  # that are judged for all jobs: the best for one job


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterPlace:
    """A place for all `jobs`, largest first. The first `now` of them would start at once, the first `soon` within a
    minute; `first` and `last` are the first and the last job as judged there."""

    jobs: tuple[JobRequest, ...]
    now: int
    soon: int
    first: Ranked
    last: Ranked

    def each(self) -> Iterator[tuple[JobRequest, Ranked]]:
        """Yields every job with how it is judged: those that would not start soon as the last of them."""
        for number, job in enumerate(self.jobs):
            yield job, self.first if number < max(self.now, 1) else self.last


def place_cluster(
    jobs: Sequence[JobRequest], ranked: Iterable[Ranked], now: datetime, forecast: Forecast = UNTRIED
) -> list[ClusterPlace]:
    """Returns the places for all `jobs` (equal but for cores, memory and GPUs), best first, from the places `ranked`
    for the largest of them: first those where most start soon, then those where the last starts soonest, else in the
    order of `ranked`."""
    largest = sorted(jobs, key=lambda job: (-job.gpus, -job.cores, -job.memory))
    places = [_judged(largest, place, now, forecast) for place in [*ranked][:PLACES]]
    return sorted(places, key=lambda place: (-place.soon, delay(place.last)))


def _judged(jobs: Sequence[JobRequest], place: Ranked, now: datetime, forecast: Forecast) -> ClusterPlace:
    shapes = [shape_of(job, place.offer) for job in jobs]

    def behind(number: int) -> Ranked:
        """Judges the job of that number behind all before it."""
        seen = place.offer.seen
        offer = alike(place.offer, seen=after(seen, shapes[:number])) if seen and number else place.offer
        return judge(jobs[number], offer, now, forecast)

    def count(chance: Chance) -> int:
        """Counts the jobs that have that chance or a better one: a later job never has a better one."""
        return bisect_left(range(len(jobs)), True, key=lambda number: behind(number).wait.chance > chance)

    return ClusterPlace(
        jobs=tuple(jobs),
        now=count(Chance.NOW),
        soon=count(Chance.HOLE),
        first=behind(0),
        last=behind(len(jobs) - 1),
    )


def why(place: ClusterPlace) -> str:
    """Returns "Beta, partition cpu: 5 of 5 jobs would start now" or "...: 2 of 5 jobs would start within a minute, the
    last behind 3 queued jobs"."""
    count = len(place.jobs)
    if place.soon == 0:
        return f"{place.first.offer.title}: the first of {count} jobs would start {place.first.wait.words}"
    starts = "now" if place.now == place.soon else "within a minute"
    rest = f", the last {place.last.wait.words}" if place.soon < count else ""
    return f"{place.first.offer.title}: {place.soon} of {count} jobs would start {starts}{rest}"
