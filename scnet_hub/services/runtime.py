"""The context that every service works with. It knows no service."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..adapters.centre import Centre
from ..adapters.db.database import Database
from ..domain.centres.state import CentreStates
from ..domain.standard.federation import FederationSpec
from .signals import Signals

log = logging.getLogger(__name__)


class Tasks:
    """Owns all background tasks, so that none is lost and all end with the federation."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def own(self, work: Coroutine[Any, Any, None]) -> None:
        """Starts a task. An error that ends it is logged with its traceback."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def stop(self) -> None:
        """Cancels all tasks, and waits until they have ended."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception():
            log.error("a task of the federation failed", exc_info=task.exception())


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """The federation's page, database, centres and clock. `first_looks` holds an event per centre, set after its first
    look."""

    spec: FederationSpec
    db: Database
    centres: Mapping[str, Centre]
    states: CentreStates
    clock: Callable[[], datetime]
    signals: Signals = field(default_factory=Signals)
    tasks: Tasks = field(default_factory=Tasks)
    first_looks: Mapping[str, asyncio.Event] = field(default_factory=dict)
