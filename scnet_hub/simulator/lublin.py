"""Generates batch jobs by the model of Lublin and Feitelson (J. Parallel Distrib. Comput. 63(11), 2003), its batch
part.

Sizes are uniform in their logarithm in two stages, serial jobs and powers of two being more frequent; run times are
hyper-gamma, with a mix of longer times for large jobs; gaps between arrivals are gamma in their logarithm, shorter by
day than by night.
"""

from __future__ import annotations

import math
from random import Random

from .swf import LONGEST_RUN, Batch, Site, estimate

SERIAL, POWER_OF_TWO = 0.2927, 0.6686
LOW, MIDDLE_BELOW_HIGH, STAGE_ONE = 1.2, 2.5, 0.875
SHORT, LONG = (6.57, 0.823), (639.1, 0.0156)  # gamma (shape, scale) of the logarithm of seconds
MIX_SLOPE, MIX_AT_ZERO = -0.003, 0.6986
GAP = (6.0415, 0.8531)
CYCLE = (6.1271, 5.2740)  # gamma of the hour of the day, in half hours after the quietest
QUIETEST = 5  # o'clock
BUCKETS = 48


def generated(name: str, cores: int, jobs: int, rng: Random) -> Site:
    """Returns a machine of `cores` and this number of jobs for it. Estimates are drawn as for logs without
    estimates."""
    weights = daily()
    at, made = 0.0, []
    for _ in range(jobs):
        at = _next(at, math.exp(min(rng.gammavariate(*GAP), 12.0)), weights)
        size = _size(cores, rng)
        run = _run(size, rng)
        made.append(Batch(at, size, run, estimate(run, -1, rng)))
    return Site(name, cores, tuple(made))


def daily() -> list[float]:
    """Returns the activity in each half hour of a day, from midnight; the mean is 1."""
    shape, scale = CYCLE
    raw = [(half + 0.5) ** (shape - 1) * math.exp(-(half + 0.5) / scale) for half in range(BUCKETS)]
    mean = sum(raw) / BUCKETS
    return [0.05 + 0.95 * raw[(half - 2 * QUIETEST) % BUCKETS] / mean for half in range(BUCKETS)]


def _next(at: float, gap: float, weights: list[float]) -> float:
    """Returns the time after a gap of `gap` seconds of an average time: longer by night, shorter by day."""
    while True:
        half = int(at // 1800)
        pace = weights[half % BUCKETS]
        left = (half + 1) * 1800 - at
        if gap <= left * pace:
            return at + gap / pace
        gap -= left * pace
        at = (half + 1) * 1800.0


def _size(cores: int, rng: Random) -> int:
    draw = rng.random()
    if draw <= SERIAL or cores == 1:
        return 1
    high = math.log2(cores)
    middle = max(high - MIDDLE_BELOW_HIGH, 0.0)
    low = min(LOW, middle)
    exponent = rng.uniform(low, middle) if rng.random() <= STAGE_ONE else rng.uniform(middle, high)
    if draw <= SERIAL + POWER_OF_TWO:
        exponent = round(exponent)
    return max(1, min(cores, int(2**exponent + 0.5)))


def _run(size: int, rng: Random) -> float:
    short = MIX_SLOPE * size + MIX_AT_ZERO
    logarithm = rng.gammavariate(*(SHORT if rng.random() <= short else LONG))
    return max(1.0, min(math.exp(min(logarithm, 13.0)), LONGEST_RUN))
