"""Waiting for the next version of a session, without polling: long polls wait here, every change tells."""

from __future__ import annotations

import asyncio
import contextlib
from weakref import WeakValueDictionary


class Changes:
    """Wakes those who wait for a session's next version; an event lives as long as somebody waits on it."""

    def __init__(self) -> None:
        self._events: WeakValueDictionary[str, asyncio.Event] = WeakValueDictionary()

    def event(self, session_id: str) -> asyncio.Event:
        """Set at the session's next change. Ask for it before reading the session, so that no change falls between."""
        event = self._events.get(session_id)
        if event is None:
            event = self._events[session_id] = asyncio.Event()
        return event

    def tell(self, session_id: str) -> None:
        if event := self._events.pop(session_id, None):
            event.set()


async def within(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
