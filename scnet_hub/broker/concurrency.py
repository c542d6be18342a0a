"""Bounds how many requests are at work at one time: for each caller, and in total. Requests over the bound wait in a
line; when the line is full, a request is refused with an explanation.

Knows callers by a key and requests by their turn, no HTTP. Each caller has a lane of their own, so the many requests of
one caller delay no other caller; the last places belong to the hub, because people stop their sessions through it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ..errors import Overloaded, TooMany

Key = tuple[str, str]  # who calls: ("person", name), ("hub", for whom), (SHARED, "")
SHARED = "unknown"  # tokens that the hub was not asked about yet, and calls without a token
HOME = "home"  # sessions that call home, without a token: a forward may have to be opened first


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The bounds for one caller's requests: how many are at work, in line, and resting until something changes; the
    same in total; the longest wait in line in seconds (`patience`). `shared` is how many callers the lane of unknown
    callers counts for; `hubs` is how many places at work only the hub gets, `homes` those of sessions that call
    home."""

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
    """Holds one caller's requests."""

    at_work: asyncio.Semaphore
    requests: int = 0  # at work or in line
    resting: int = 0


@dataclass(slots=True)
class Counts:
    """Counts requests for `health` and monitors; `most` is the highest number that was ever at work."""

    at_work: int = 0
    in_line: int = 0
    resting: int = 0
    most: int = 0
    refused: int = 0


class Turn:
    """Holds one request's place. `rest` gives the place up while the request only waits for something to change."""

    def __init__(self, lanes: Lanes, key: Key) -> None:
        self._lanes, self.key = lanes, key
        self._in_lane = self._in_all = False

    async def take(self) -> None:
        """Waits for both places, in the caller's lane and in total. Raises TooMany, Overloaded."""
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
        """Releases the shared place once the answer is ready: a client that reads slowly keeps only the place in its
        own lane."""
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
        """Gives the shared place to others during the block and keeps the place in the caller's lane. Raises Overloaded
        if no shared place is free in time afterwards."""
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
        """Gives both places to others during the block. Raises TooMany or Overloaded if too many requests rest
        already."""
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
    """Holds the lanes of all callers."""

    def __init__(self, bounds: Bounds = Bounds()) -> None:
        self.bounds, self.counts = bounds, Counts()
        self._lanes: dict[Key, Lane] = {}
        self._work = asyncio.Semaphore(bounds.all_at_work)
        self._own = {"hub": asyncio.Semaphore(bounds.hubs), HOME: asyncio.Semaphore(bounds.homes)}

    @asynccontextmanager
    async def turn(self, key: Key) -> AsyncIterator[Turn]:
        """Gives one request of that caller a place at work for the length of the block. Raises TooMany, Overloaded."""
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
        """Returns the places at work that all callers share; the hub and sessions that call home have their own."""
        return self._own.get(key[0], self._work)

    def check(self, key: Key) -> None:
        """Raises TooMany or Overloaded if one more request of that caller would find no place, not even in line."""
        lane = self._lanes.get(key)
        if lane and lane.requests - lane.resting >= (self.bounds.at_work + self.bounds.in_line) * self._times(key):
            raise self._many(f"You already have {lane.requests - lane.resting} requests under way.")
        if key[0] != "hub" and self.counts.in_line >= self.bounds.all_in_line:
            raise self._full()

    def _open(self, key: Key) -> Lane:
        self.check(key)
        return self._lanes.setdefault(key, Lane(asyncio.Semaphore(self.bounds.at_work * self._times(key))))

    def _times(self, key: Key) -> int:
        return self.bounds.shared if key[0] in (SHARED, HOME) else 1

    def check_resting(self, lane: Lane) -> None:
        if lane.resting >= self.bounds.resting:
            raise self._many(f"You already have {lane.resting} requests that wait for changes.")
        if self.counts.resting >= self.bounds.all_resting:
            raise self._full()

    def slow(self, in_lane: bool) -> TooMany | Overloaded:
        """Returns the refusal of a request that waited too long."""
        waited = f"waited {self.bounds.patience:g} s for its turn"
        return self._full() if in_lane else self._many(f"A request of yours {waited} behind your other requests.")

    def began(self) -> None:
        self.counts.at_work += 1
        self.counts.most = max(self.counts.most, self.counts.at_work)

    def _many(self, words: str) -> TooMany:
        self.counts.refused += 1
        hint = f"Send fewer requests at once; try again in {self.bounds.retry_after} s. Nothing was done."
        return TooMany(words, hint=hint, details={"retry_after_s": self.bounds.retry_after})

    def _full(self) -> Overloaded:
        self.counts.refused += 1
        hint = f"Try again in {self.bounds.retry_after} s. Nothing was done; running sessions continue."
        return Overloaded("The broker is overloaded.", hint=hint, details={"retry_after_s": self.bounds.retry_after})
