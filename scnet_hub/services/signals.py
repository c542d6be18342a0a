"""Signals between services, and events for long polls that wait for a session's next version.

A signal is sent after its transaction has committed, and carries no fact that is not in the database: a lost signal
only costs time. A handler starts work and returns at once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Generic, ParamSpec
from weakref import WeakValueDictionary

P = ParamSpec("P")


class Signal(Generic[P]):
    """Calls all connected handlers, in the order in which they were connected."""

    def __init__(self) -> None:
        self._handlers: list[Callable[P, None]] = []

    def connect(self, handler: Callable[P, None]) -> None:
        self._handlers.append(handler)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None:
        for handler in self._handlers:
            handler(*args, **kwargs)


class Changes:
    """Wakes the callers that wait for a session's next version. An event lives as long as a caller waits on it."""

    def __init__(self) -> None:
        self._events: WeakValueDictionary[str, asyncio.Event] = WeakValueDictionary()

    def event(self, session_id: str) -> asyncio.Event:
        """Returns an event that is set at the session's next change. Get it before you read the session, so that no
        change is missed."""
        event = self._events.get(session_id)
        if event is None:
            event = self._events[session_id] = asyncio.Event()
        return event

    def notify(self, session_id: str) -> None:
        if event := self._events.pop(session_id, None):
            event.set()


class Signals:
    """`launch(session_id, number, again)`: this copy has a row and should become a job; `again` where a job of that
    name may exist. `look_soon(centre, seconds)`: a look at that centre is worthwhile within `seconds`. `changes`: a
    session has a new version."""

    def __init__(self) -> None:
        self.launch: Signal[[str, int, bool]] = Signal()
        self.look_soon: Signal[[str, float]] = Signal()
        self.changes = Changes()


async def within(event: asyncio.Event, seconds: float) -> None:
    """Waits for the event, at most `seconds`."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
