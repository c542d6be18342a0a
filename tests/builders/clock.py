"""Virtual time: an event loop whose time stands still while anything runs, and jumps to the next timer otherwise.

So an hour takes no time, a slow machine changes nothing, and what happens first is what was due first. A test asks for
it by the fixture `virtual_time` (see `tests.federation.world`). Not for tests that wait for sockets or processes: the
loop would not know that these are at work.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2026, 11, 23, 9, tzinfo=UTC)


class Clock:
    """The time of day by the running loop's time, which is `start` at the moment of making."""

    def __init__(self, start: datetime = START) -> None:
        self._loop = asyncio.get_running_loop()
        self._zero = start - timedelta(seconds=self._loop.time())

    def __call__(self) -> datetime:
        return self._zero + timedelta(seconds=self._loop.time())

    def skip(self, time: timedelta) -> None:
        """So much later at once: timers that are due meanwhile are as far off as before."""
        self._zero += time


class _Jumping(selectors.DefaultSelector):
    """Says how long the loop would wait instead of waiting, where only a timer could end the wait."""

    def __init__(self) -> None:
        super().__init__()
        self.passed: Callable[[float], None] = lambda seconds: None

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        if not (events := super().select(0)):
            self.passed(timeout)
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """`time()` begins at 0 and moves only when nothing is left to do before the next timer. What goes to a thread is
    done in the next turn of the loop instead: so no switch of threads, and what is done beside what is the same in each
    run."""

    def __init__(self) -> None:
        self._now = 0.0
        jumping = _Jumping()
        jumping.passed = self._pass
        super().__init__(jumping)

    def _pass(self, seconds: float) -> None:
        self._now += seconds

    def time(self) -> float:
        return self._now

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        future = self.create_future()
        self.call_soon(_done, future, func, args)
        return future


def _done(future: asyncio.Future[Any], work: Callable[..., Any], args: tuple[Any, ...]) -> None:
    try:
        result = work(*args)
    except BaseException as error:
        if not future.cancelled():
            future.set_exception(error)
    else:
        if not future.cancelled():
            future.set_result(result)
