"""Learns from real waits the range to promise: half of such starts within p50, nine in ten within p90.

Starts of one kind are alike: same chance, same order of magnitude of the estimate, and same centre once it has had
enough of them. The level is steered by its own hit rate (adaptive conformal inference: Gibbs and Candès, NeurIPS 2021),
so that promises are kept as often as stated even while the load changes; after a run of misses the older half is
forgotten. Estimates from limits have a scale of their own, so those of kinds with too few starts are brought to the
scale of real waits, by which the others are compared. Pure: nothing here reads a clock.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

from .wait_model import Chance, Wait

PROMISE = 0.9
STEP = 0.02  # how far one hit or miss moves the level
KEPT, LEAST, LEAST_HERE = 200, 10, 30
RECENT, MISSES = 20, 8  # so many misses among so many promises mean that the load has changed
LOWEST, HIGHEST = 0.5, 0.99
SMALLEST = 2.0**-10  # of an estimate: the least that waits are expected to be


class Kind(NamedTuple):
    """Starts that are alike: `chance` and `delay` (powers of two of the estimate) at a `centre`, or at any ("")."""

    chance: int
    delay: int
    centre: str = ""


class Range(NamedTuple):
    """Seconds within which half, and nine in ten, of such starts came; `starts`: how many starts were counted."""

    p50: float
    p90: float
    starts: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """The current ranges, by kind, and what real waits were of their estimates for a turn, in the middle."""

    ranges: Mapping[Kind, Range] = field(default_factory=dict)
    scale: float = 1.0

    def of(self, wait: Wait, centre: str) -> Range | None:
        """Returns the range for such a wait there; None after too few such starts."""
        if not self.ranges:
            return None
        return self.ranges.get(kind(wait, centre)) or self.ranges.get(kind(wait))

    def scale_of(self, wait: Wait) -> float:
        """Returns the factor that brings an estimate to the scale of real waits: for a turn, which is a guess."""
        return self.scale if wait.chance >= Chance.NEXT else 1.0


UNTRIED = Forecast()


def kind(wait: Wait, centre: str = "") -> Kind:
    return Kind(int(wait.chance), 0 if wait.seconds is None else int(wait.seconds // 60).bit_length(), centre)


@dataclass(slots=True)
class _Past:
    """The starts of one kind, newest last, and the level at which promises about them have been right so far."""

    waits: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    hits: deque[bool] = field(default_factory=lambda: deque(maxlen=RECENT))
    level: float = PROMISE
    changes: int = 0

    def learn(self, waited: float, promised: float | None) -> None:
        if promised is not None:
            hit = waited <= promised
            self.hits.append(hit)
            self.level = min(HIGHEST, max(LOWEST, self.level + STEP * (PROMISE - hit)))
        self.waits.append(waited)
        if sum(not hit for hit in self.hits) >= MISSES:
            for _ in range(len(self.waits) - max(LEAST, len(self.waits) // 2)):
                self.waits.popleft()
            self.hits.clear()
            self.level, self.changes = PROMISE, self.changes + 1

    def range(self) -> Range:
        known = sorted(self.waits)
        return Range(_quantile(known, 0.5), _quantile(known, self.level), len(known))


class Calibration:
    """Learns from starts that are over, in their order."""

    def __init__(self) -> None:
        self._past: dict[Kind, _Past] = {}
        self._ratios: deque[float] = deque(maxlen=KEPT)
        self._forecast: Forecast | None = None

    def learn(self, wait: Wait, centre: str, waited: float, promised: float | None = None) -> None:
        """Records that a start with expected `wait` there took `waited` seconds; `promised` is the p90 that was stated
        for it."""
        for one in {kind(wait), kind(wait, centre)}:
            self._past.setdefault(one, _Past()).learn(waited, promised)
        if wait.chance >= Chance.NEXT and wait.seconds:
            self._ratios.append(waited / wait.seconds)
        self._forecast = None

    def forecast(self) -> Forecast:
        """Returns the current ranges; the same object until something is learned."""
        if self._forecast is None:
            self._forecast = Forecast(
                {one: past.range() for one, past in self._past.items() if len(past.waits) >= _least(one)}, self._scale()
            )
        return self._forecast

    def _scale(self) -> float:
        """Returns the scale in powers of two: orders of magnitude are what estimates are good for."""
        if len(self._ratios) < LEAST:
            return 1.0
        return float(2 ** round(math.log2(max(SMALLEST, median(self._ratios)))))

    @property
    def changes(self) -> int:
        """Returns how often the waits of a kind changed at once."""
        return sum(past.changes for one, past in self._past.items() if not one.centre)


def _least(one: Kind) -> int:
    return LEAST_HERE if one.centre else LEAST


def _quantile(ordered: Sequence[float], level: float) -> float:
    """Returns the order statistic that a further value does not exceed with that probability."""
    return ordered[min(len(ordered), math.ceil(level * (len(ordered) + 1))) - 1]
