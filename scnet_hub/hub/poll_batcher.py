"""Reads sessions for servers that JupyterHub polls: a single poll by itself, concurrent polls in one call for all.

A hub that starts polls every server at the same moment, and later polls stay nearly in step; the broker would answer
hundreds of calls one after another while people wait. A call always starts after the poll began, so no poll gets an
outdated answer.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from .broker_client import Broker

Json = dict[str, Any]
PATIENCE = 20.0  # the longest time of one call for all, in seconds: each poll gives up sooner


@dataclass(frozen=True, slots=True)
class Listed:
    """Live sessions by id, and the ids of sessions that another session continues: only their own documents say how
    they ended."""

    sessions: dict[str, Json]
    continued: frozenset[str]

    @classmethod
    def of(cls, documents: list[Json]) -> Listed:
        return cls(
            {one["id"]: one for one in documents}, frozenset(one["continues"] for one in documents if one["continues"])
        )

    def says(self, session_id: str) -> Json | None:
        return None if session_id in self.continued else self.sessions.get(session_id)


class PollBatcher:
    """Batches polls; one object per broker. The first poll makes its own call; polls that arrive meanwhile share the
    next call."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self._alone = 0
        self._next: asyncio.Task[Listed] | None = None
        self._turn = asyncio.Lock()

    async def session(self, person: str, session_id: str, *, timeout: float) -> Json:
        """Returns the session's present document, which may come from a list. Raises the broker's errors."""
        if self._alone:
            if found := (await self._all()).says(session_id):
                return found
            # it ended, or continues as another session
            return await self.broker.session(person, session_id, timeout=timeout)
        self._alone += 1
        try:
            return await self.broker.session(person, session_id, timeout=timeout)
        finally:
            self._alone -= 1

    async def _all(self) -> Listed:
        if self._next is None:
            self._next = asyncio.create_task(self._ask())
            # all callers may have given up
            self._next.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(self._next)

    async def _ask(self) -> Listed:
        async with self._turn:
            self._next = None  # later polls make a new call
            return Listed.of(await self.broker.labs(timeout=PATIENCE))
