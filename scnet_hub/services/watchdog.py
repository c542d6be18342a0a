"""Measures how late the broker's event loop is and how long work waits for its thread pools, so that `health` can
report an overload.

Every second each pool gets a probe that does nothing, so the time until it has run is the time that any work waits
there. This file knows neither what the pools are for nor what to do about a full one.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

EVERY = 1.0  # seconds between two looks
KEPT = 30  # looks: a short overload is reported for half a minute
LATE = 2.0  # seconds that the loop may be late before it is reported
STUCK = 10.0
Probe = Callable[[], Awaitable[object]]


@dataclass(slots=True)
class Waits:
    """Seconds that were waited at the last looks; `since`: when the probe under way was handed over, None if there is
    none."""

    seen: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    since: float | None = None

    def longest(self, now: float) -> float:
        return max([*self.seen, now - self.since if self.since is not None else 0.0])


class Watchdog:
    """Probes the event loop and the pools. `pools` maps each pool's name, as shown to people, to the function that runs
    its probe; `every`: seconds between two looks."""

    def __init__(
        self, pools: Mapping[str, Probe], clock: Callable[[], float] = time.monotonic, *, every: float = EVERY
    ) -> None:
        self.pools, self.clock, self.every = pools, clock, every
        self.loop = Waits()
        self.waits = {name: Waits() for name in pools}
        self._probing: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Runs until cancelled."""
        try:
            while True:
                due = self.clock() + self.every
                await asyncio.sleep(self.every)
                self.look(due)
        finally:
            for task in self._probing:
                task.cancel()

    def look(self, due: float) -> None:
        """Looks once, at a time that should have been `due`."""
        self.loop.seen.append(max(0.0, self.clock() - due))
        for name, waits in self.waits.items():
            if waits.since is None:
                waits.since = self.clock()
                task = asyncio.create_task(self._probe(name, waits))
                self._probing.add(task)
                task.add_done_callback(self._probing.discard)

    async def _probe(self, name: str, waits: Waits) -> None:
        since = self.clock()
        try:
            await self.pools[name]()
        finally:
            waits.seen.append(self.clock() - since)
            waits.since = None

    def late(self) -> float:
        """Returns the most seconds by which the event loop was late at the last looks."""
        return self.loop.longest(self.clock())

    def waiting(self) -> dict[str, float]:
        """Returns, by pool, the most seconds that work waited there at the last looks, work that waits now included."""
        return {name: waits.longest(self.clock()) for name, waits in self.waits.items()}

    def troubles(self) -> list[str]:
        """Returns a sentence for each overloaded pool and for a late event loop."""
        late = self.late()
        said = (
            [f"The broker's event loop was {late:.1f} s late within the last {KEPT * self.every:g} s."]
            if late >= LATE
            else []
        )
        return said + [
            f"Work has waited up to {seconds:.0f} s for the pool {name}."
            for name, seconds in self.waiting().items()
            if seconds >= STUCK
        ]


async def default_pool() -> None:
    """Probes asyncio's own threads, which read answers of centres and look up host names."""
    await asyncio.to_thread(_nothing)


def _nothing() -> None:
    """Does nothing: the probe's work."""
