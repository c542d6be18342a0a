"""How many requests are at work at once: of each caller, and in all. Who is over waits in a line; who is over that is
refused, in words.

Knows callers by a key and requests by their turn, no HTTP. Each caller has a lane of their own, so a crowd in one keeps
no other waiting; the last places belong to the hub, because people stop their sessions through it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ..errors import Overloaded, TooMany

Key = tuple[str, str]  # who calls: ("person", name), ("hub", for whom), (SHARED, "")
SHARED = "unknown"  # tokens that the hub was not asked about yet, and calls without one
HOME = "home"  # sessions that call home, without a token: a forward may have to be opened first


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Requests of one caller that are at work, that wait for that, and that wait for a change; those in all; seconds
    that one waits in line. `shared` is how many callers a lane of the unknown counts for; `hubs` is how many places at
    work only the hub gets, `homes` those that call home."""

    at_work: int = 4
    in_line: int = 28
    resting: int = 64
    all_at_work: int = 32
    all_in_line: int = 512
    all_resting: int = 4000
    patience: float = 20.0
    shared: int = 8
    hubs: int = 64
    homes: int = 32
    retry_after: int = 2


@dataclass(slots=True)
class Lane:
    """One caller's requests."""

    at_work: asyncio.Semaphore
    requests: int = 0  # at work or in line
    resting: int = 0


@dataclass(slots=True)
class Counts:
    """For `health` and monitors; `most` is the highest number ever at work."""

    at_work: int = 0
    in_line: int = 0
    resting: int = 0
    most: int = 0
    refused: int = 0


class Turn:
    """One request's place. `rest` gives it up while the request only waits for something to change."""

    def __init__(self, lanes: Lanes, key: Key) -> None:
        self._lanes, self.key = lanes, key
        self._in_lane = self._in_all = False

    async def take(self) -> None:
        """Waits for both places. Raises TooMany, Overloaded."""
        try:
            async with asyncio.timeout(self._lanes.bounds.patience):
                await self._lanes.lane(self.key).at_work.acquire()
                self._in_lane = True
                await self._lanes.work(self.key).acquire()
                self._in_all = True
        except TimeoutError:
            raise self._lanes.slow(self._in_lane) from None
        self._lanes.began()

    def sending(self) -> None:
        """The answer is there: whoever reads it slowly keeps their own place only."""
        if self._in_all:
            self._in_all = False
            self._lanes.work(self.key).release()
            self._lanes.counts.at_work -= 1

    def leave(self) -> None:
        self.sending()
        if self._in_lane:
            self._in_lane = False
            self._lanes.lane(self.key).at_work.release()

    @asynccontextmanager
    async def apart(self) -> AsyncIterator[None]:
        """The place at work is others' meanwhile; the one in its own lane is kept. Raises Overloaded where none is free
        in time then."""
        self.sending()
        yield
        try:
            async with asyncio.timeout(self._lanes.bounds.patience):
                await self._lanes.work(self.key).acquire()
        except TimeoutError:
            raise self._lanes.slow(True) from None
        self._in_all = True
        self._lanes.began()

    @asynccontextmanager
    async def rest(self) -> AsyncIterator[None]:
        """Both places are others' meanwhile. Raises TooMany, Overloaded where too many rest already."""
        lane, lanes = self._lanes.lane(self.key), self._lanes
        lanes.check_resting(lane)
        self.leave()
        lane.resting += 1
        lanes.counts.resting += 1
        try:
            yield
        finally:
            lane.resting -= 1
            lanes.counts.resting -= 1
        await self.take()


class Lanes:
    """All callers' lanes."""

    def __init__(self, bounds: Bounds = Bounds()) -> None:
        self.bounds, self.counts = bounds, Counts()
        self._lanes: dict[Key, Lane] = {}
        self._work = asyncio.Semaphore(bounds.all_at_work)
        self._own = {"hub": asyncio.Semaphore(bounds.hubs), HOME: asyncio.Semaphore(bounds.homes)}

    @asynccontextmanager
    async def turn(self, key: Key) -> AsyncIterator[Turn]:
        """A place at work for one request of that caller. Raises TooMany, Overloaded."""
        lane = self._open(key)
        lane.requests += 1
        turn = Turn(self, key)
        self.counts.in_line += 1
        try:
            try:
                await turn.take()
            finally:
                self.counts.in_line -= 1
            yield turn
        finally:
            turn.leave()
            lane.requests -= 1
            if not lane.requests:
                self._lanes.pop(key, None)

    def lane(self, key: Key) -> Lane:
        return self._lanes[key]

    def work(self, key: Key) -> asyncio.Semaphore:
        """The places at work that all share; the hub and those that call home have their own."""
        return self._own.get(key[0], self._work)

    def check(self, key: Key) -> None:
        """Raises TooMany, Overloaded where one more request of that caller finds no place, not even in line."""
        lane = self._lanes.get(key)
        if lane and lane.requests - lane.resting >= (self.bounds.at_work + self.bounds.in_line) * self._times(key):
            raise self._many(f"{lane.requests - lane.resting} requests of yours are under way already.")
        if key[0] != "hub" and self.counts.in_line >= self.bounds.all_in_line:
            raise self._full()

    def _open(self, key: Key) -> Lane:
        self.check(key)
        return self._lanes.setdefault(key, Lane(asyncio.Semaphore(self.bounds.at_work * self._times(key))))

    def _times(self, key: Key) -> int:
        return self.bounds.shared if key[0] in (SHARED, HOME) else 1

    def check_resting(self, lane: Lane) -> None:
        if lane.resting >= self.bounds.resting:
            raise self._many(f"{lane.resting} requests of yours wait for changes already.")
        if self.counts.resting >= self.bounds.all_resting:
            raise self._full()

    def slow(self, in_lane: bool) -> TooMany | Overloaded:
        """Why a request that waited too long is refused."""
        waited = f"waited {self.bounds.patience:g} s for its turn"
        return self._full() if in_lane else self._many(f"A request of yours {waited} behind others of yours.")

    def began(self) -> None:
        self.counts.at_work += 1
        self.counts.most = max(self.counts.most, self.counts.at_work)

    def _many(self, words: str) -> TooMany:
        self.counts.refused += 1
        hint = f"Ask for fewer things at once; try again in {self.bounds.retry_after} s. Nothing was done."
        return TooMany(words, hint=hint, details={"retry_after_s": self.bounds.retry_after})

    def _full(self) -> Overloaded:
        self.counts.refused += 1
        hint = f"Try again in {self.bounds.retry_after} s. Nothing was done; running sessions go on."
        return Overloaded(
            "The broker has more to do than it can now.", hint=hint, details={"retry_after_s": self.bounds.retry_after}
        )
