"""A few threads for calls that may hang: a dead file system blocks every caller, and nothing can end a blocked thread.

Each transport has its own pool, so a centre whose file system hangs delays no other call. Calls are bounded in number
and in time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
THREADS = 2
MOST = 64  # calls at once, including those that wait
PATIENCE = 10.0  # seconds that a call may take, including its wait


class Starved(TimeoutError):
    """Raised when the call did not end in time, or when too many calls wait already. The call may still be under
    way."""


class Pool:
    """A bounded thread pool. The constructor starts no thread."""

    def __init__(self, name: str, *, threads: int = THREADS, most: int = MOST, patience: float = PATIENCE) -> None:
        self._threads = ThreadPoolExecutor(max_workers=threads, thread_name_prefix=name)
        self.most, self.patience = most, patience
        self._under_way: dict[object, float] = {}

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs `work(...)` on one of the threads and returns its result. Raises Starved, and what `work` raises."""
        if len(self._under_way) >= self.most:
            raise Starved(f"{self.most} such calls are under way already")
        future = self._threads.submit(work, *args, **kwargs)
        self._under_way[future] = time.monotonic()
        future.add_done_callback(lambda done: self._under_way.pop(done, None))
        try:
            async with asyncio.timeout(self.patience):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            if future.done() and not future.cancelled():  # the TimeoutError came from the work itself
                raise
            raise Starved(f"it did not end within {self.patience:g} s") from None

    def oldest(self) -> float:
        """Returns the seconds that the oldest call under way has taken; 0 if there is no call."""
        began = [*self._under_way.values()]  # a copy: a thread may remove an entry meanwhile
        return time.monotonic() - min(began) if began else 0.0
