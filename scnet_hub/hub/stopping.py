"""DELETE users/NAME/server: a stop that is never lost, even if the hub's disk is full.

JupyterHub answers 2xx whether a stop succeeds or not, and removes a server's route before it stores that the server is
gone: if the database can't be written, people are redirected in circles. So before JupyterHub begins, the stop request
is stored or sent to the broker, and room on the disk is checked.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Any

from jupyterhub.apihandlers.users import UserServerAPIHandler
from jupyterhub.proxy import Proxy
from jupyterhub.scopes import needs_scope
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from tornado import web

from .pending_stops import NotKept
from .spawner import FederatedSpawner

ROOM = 256 * 1024  # bytes that a stop may write to the hub's database, including its journal


class NoRoom(Exception):
    """The hub's database can't be written now; the message gives the reason."""


def check_room(db: Any) -> None:
    """Raises NoRoom unless the hub's database accepts a write now, and there is room for everything that a stop
    writes."""
    try:
        file = db.get_bind().url.database if db.get_bind().dialect.name == "sqlite" else ""
        if file and file != ":memory:":
            with tempfile.TemporaryFile(dir=Path(file).parent) as trial:
                os.posix_fallocate(trial.fileno(), 0, ROOM)
        db.execute(text("UPDATE spawners SET started = started WHERE id = (SELECT MIN(id) FROM spawners)"))
        db.commit()
    except (OSError, SQLAlchemyError) as error:
        with contextlib.suppress(SQLAlchemyError):
            db.rollback()
        words = error.strerror if isinstance(error, OSError) else getattr(error, "orig", error)
        raise NoRoom(f"the hub's database can't be written ({words})") from error


class Keeping(Proxy):
    """Keeps routes while the hub can't store that their server is gone."""

    async def delete_user(self, user: Any, server_name: str = "") -> None:
        check_room(user.db)
        await super().delete_user(user, server_name)


class StopServer(UserServerAPIHandler):
    @needs_scope("delete:servers")
    async def delete(self, user_name: str, server_name: str = "") -> None:
        user = self.find_user(user_name)
        spawner = user.spawners.get(server_name) if user else None
        if isinstance(spawner, FederatedSpawner) and spawner.pending != "stop":
            told = await self._pledged(spawner)
            try:
                check_room(self.db)
            except NoRoom as error:
                done = "The session is being stopped at its centre, but" if told else "The session was not stopped:"
                raise web.HTTPError(
                    507, f"{done} {error}. Press Stop again when there is room; tell the operators."
                ) from error
        await super().delete(user_name, server_name)

    async def _pledged(self, spawner: FederatedSpawner) -> bool:
        """Returns whether there was a session to stop; then its stop can no longer be lost."""
        if await spawner.poll() is not None:  # poll first: another session may have taken over the name
            return False
        try:
            return await spawner.pledge_stop()
        except NotKept as error:
            raise web.HTTPError(507, str(error)) from error
