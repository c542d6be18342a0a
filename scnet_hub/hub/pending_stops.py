"""Requests to stop a session, kept on disk until the broker confirms them: a stop requested while the broker is down is
not lost.

A request names the session's id, not the person's server, so a late request never stops the next session. The requests
belong to the hub: a user's name may change while the session runs, and the session is stopped whatever its owner's name
is now.
"""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path

from ..adapters.secret_files import write_secret
from ..errors import NotFound, ScnetError
from .broker_client import THE_HUB, Broker

log = logging.getLogger(__name__)


class PendingStops:
    """Keeps stop requests in a folder. `settle` tries one now; `retry_all` tries the rest in the background until none
    is left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._retrying: asyncio.Task[None] | None = None

    def wish(self, session_id: str) -> None:
        write_secret(self._path(session_id), json.dumps({"session": session_id}))

    def wished(self, session_id: str) -> bool:
        return self._path(session_id).exists()

    def _path(self, session_id: str) -> Path:
        return self.folder / f"cancel-{session_id}.json"

    async def settle(self, broker: Broker, session_id: str, *, timeout: float) -> bool:
        """Sends a request to the broker; returns False without an answer. Drops the request if the broker does not know
        the session."""
        try:
            await broker.stop(THE_HUB, session_id, timeout=timeout)
        except NotFound:
            log.warning("the broker does not know session %s: nothing to stop", session_id)
        except ScnetError as error:
            log.warning("session %s: the request to stop it waits (%s)", session_id, error)
            return False
        self._path(session_id).unlink(missing_ok=True)
        return True

    def retry_all(self, broker: Broker) -> None:
        """Starts to send the waiting requests, unless this is already under way."""
        if (self._retrying is None or self._retrying.done()) and any(self.folder.glob("cancel-*.json")):
            self._retrying = asyncio.create_task(self._retry(broker))

    async def _retry(self, broker: Broker) -> None:
        pause = 1.0
        while waiting := sorted(self.folder.glob("cancel-*.json")):
            for path in waiting:
                wish = json.loads(path.read_text())
                if not await self.settle(broker, wish["session"], timeout=10):
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, 30)


class NotKept(ScnetError):
    """A stop request could neither be stored nor sent to the broker."""

    code = "not-kept"
    status = 507
