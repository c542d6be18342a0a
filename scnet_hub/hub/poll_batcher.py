"""Looks at sessions for servers that are polled: each alone where one is, in one question for all where many are at once.

A hub that starts polls every server at the same moment, and later they stay nearly in step; the broker would answer hundreds of
questions one after another while people wait. Answers are always asked for after the poll began, so nobody hears of the past.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from .broker_client import Broker

Json = dict[str, Any]
PATIENCE = 20.0  # seconds that one question for all may take: who polls lets go sooner


@dataclass(frozen=True, slots=True)
class Listed:
    """Live sessions by id, and the ids of those that another one continues: only its own document says what came of such a one."""

    sessions: dict[str, Json]
    continued: frozenset[str]

    @classmethod
    def of(cls, documents: list[Json]) -> Listed:
        return cls({one["id"]: one for one in documents}, frozenset(one["continues"] for one in documents if one["continues"]))

    def says(self, session_id: str) -> Json | None:
        return None if session_id in self.continued else self.sessions.get(session_id)


class Polls:
    """One per broker. The first to come is answered alone; who comes meanwhile shares the next question."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self._alone = 0
        self._next: asyncio.Task[Listed] | None = None
        self._turn = asyncio.Lock()

    async def session(self, person: str, session_id: str, *, timeout: float) -> Json:
        """What the broker says of it now; the document may be that of a list. Raises as the broker does."""
        if self._alone:
            if found := (await self._all()).says(session_id):
                return found
            return await self.broker.session(person, session_id, timeout=timeout)  # it ended, or goes on as another
        self._alone += 1
        try:
            return await self.broker.session(person, session_id, timeout=timeout)
        finally:
            self._alone -= 1

    async def _all(self) -> Listed:
        if self._next is None:
            self._next = asyncio.create_task(self._ask())
            self._next.add_done_callback(lambda task: task.cancelled() or task.exception())  # all who asked may have let go
        return await asyncio.shield(self._next)

    async def _ask(self) -> Listed:
        async with self._turn:
            self._next = None  # who comes from now on asks anew
            return Listed.of(await self.broker.labs(timeout=PATIENCE))
