"""Measures how late the broker's event loop is and how long its thread pools let work wait, so that `health` tells of a starved one.

A probe is handed to each pool every second: it does nothing, so the time until it has run is the time that any work waits there. Knows
neither what the pools are for nor what to do about it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

EVERY = 1.0  # seconds between two looks
KEPT = 30  # looks: a short trouble is told for half a minute
LATE = 2.0  # seconds that the loop may be late, and work may wait, before it is told
STUCK = 10.0
Probe = Callable[[], Awaitable[object]]


@dataclass(slots=True)
class Waits:
    """Seconds that were waited at the last looks; `since`: when the probe under way was handed over."""

    seen: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    since: float | None = None

    def longest(self, now: float) -> float:
        return max([*self.seen, now - self.since if self.since is not None else 0.0])


class Pulse:
    """`pools` are what hands a probe to each pool, by the pool's name for people; `every`: seconds between two looks."""

    def __init__(self, pools: Mapping[str, Probe], clock: Callable[[], float] = time.monotonic, *, every: float = EVERY) -> None:
        self.pools, self.clock, self.every = pools, clock, every
        self.loop = Waits()
        self.waits = {name: Waits() for name in pools}
        self._probing: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                due = self.clock() + self.every
                await asyncio.sleep(self.every)
                self.look(due)
        finally:
            for task in self._probing:
                task.cancel()

    def look(self, due: float) -> None:
        """One look, which was due at `due`."""
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
        """The most seconds by which the event loop was late at the last looks."""
        return self.loop.longest(self.clock())

    def waiting(self) -> dict[str, float]:
        """By pool, the most seconds that work waited there at the last looks, what waits now included."""
        return {name: waits.longest(self.clock()) for name, waits in self.waits.items()}

    def troubles(self) -> list[str]:
        """What is starved, in sentences."""
        late = self.late()
        said = [f"The broker's event loop was {late:.1f} s late within the last {KEPT * self.every:g} s."] if late >= LATE else []
        return said + [f"Work waits {seconds:.0f} s for the pool {name}." for name, seconds in self.waiting().items() if seconds >= STUCK]


async def default_pool() -> None:
    """A probe of asyncio's own threads, on which answers of centres are read and names of hosts are looked up."""
    await asyncio.to_thread(_nothing)


def _nothing() -> None:
    """What a probe does."""
