"""Keeps the hub's servers in step with the broker's Lab sessions, from the hub's start on.

JupyterHub forgets a start that was pending when it died, while the broker keeps the session: this module joins the
session again, by the hub's own REST with a token that may only start servers. A session without a server for a long
time is stopped, so that it uses no more hours; the spawner follows a session that moved to another address. Starts no
new session.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import httpx

from ..display.session_states import READY, stoppable
from ..services.periodic import run_every
from .broker_client import THE_HUB, Broker
from .pending_stops import PendingStops
from .spawner import FederatedSpawner, to_join

Json = dict[str, Any]
Server = tuple[str, str]  # person, server name
log = logging.getLogger(__name__)
EVERY = 10.0  # seconds between two rounds
PATIENCE = 1800.0  # seconds without a server after which a session is stopped
UNCLAIMED = "This session is no longer claimed by a server of the hub."


def labs(sessions: Iterable[Json]) -> dict[Server, Json]:
    """Returns the Lab session that each server should be: a live session that is not being stopped; a ready one first,
    else the newest."""
    found: dict[Server, Json] = {}
    for one in sorted(sessions, key=lambda one: (one["state"] == READY, one["created_at"])):
        if one["kind"] == "lab" and stoppable(one):
            found[one["person"], one["name"]] = one
    return found


def pause(failures: int) -> float:
    """Returns the seconds until the next attempt for a session that could not be joined."""
    return min(EVERY * 2.0**failures, 300.0)


class Rejoin:
    """Joins sessions and servers. `users` are JupyterHub's; `hub_api` is its own REST, `token` has the scope
    start:servers."""

    def __init__(
        self, users: Any, broker: Broker, cancels: PendingStops, *, hub_api: str, token: str, patience: float = PATIENCE
    ) -> None:
        self.users, self.broker, self.cancels = users, broker, cancels
        self.hub_api, self.patience = hub_api.rstrip("/"), patience
        self._http = httpx.AsyncClient(headers={"Authorization": f"token {token}"}, trust_env=False, timeout=30)
        self._alone: dict[str, tuple[float, float, int]] = {}  # session → alone since, next try, tries
        self._people: dict[
            str, Any
        ] = {}  # the users that the hub has in memory, by name: its own look-up by name reads the database

    async def run(self, every: float = EVERY) -> None:
        """Runs rounds until cancelled."""
        await run_every(self.round, every, what="comparing sessions with servers")

    async def round(self) -> None:
        """Makes each live Lab session its person's server, if it is not."""
        wanted = labs(await self.broker.labs(timeout=10))
        self._people = {user.name: user for user in self.users.values()}
        for server in [server for server in to_join if not self._active(*server)]:
            del to_join[server]  # a start that failed before it took the session
        ids = {one["id"] for one in wanted.values()}
        self._alone = {session: facts for session, facts in self._alone.items() if session in ids}
        claimed = self._claimed()
        for (person, name), document in wanted.items():
            spawner = claimed.get(document["id"]) or self._server(person, name)
            if spawner is None or not spawner.active:
                await self._alone_one(person, name, document)
                continue
            if spawner.ready:
                self._alone.pop(document["id"], None)
                await spawner.keep_up(document)

    def _claimed(self) -> dict[str, FederatedSpawner]:
        """Returns the active server of each session, whatever its owner's name is now."""
        servers = (spawner for user in self._people.values() for spawner in user.spawners.values())
        return {one.job_id: one for one in servers if one.active and one.job_id}

    def _server(self, person: str, name: str) -> FederatedSpawner | None:
        try:
            spawner: FederatedSpawner | None = (self._people.get(person) or self.users[person]).spawners.get(name)
        except KeyError:
            return None
        return spawner

    def _active(self, person: str, name: str) -> bool:
        spawner = self._server(person, name)
        return spawner is not None and bool(spawner.active)

    async def _alone_one(self, person: str, name: str, document: Json) -> None:
        now = asyncio.get_running_loop().time()
        since, due, tries = self._alone.get(document["id"], (now, now, 0))
        if self.cancels.wished(document["id"]):
            return self.cancels.retry_all(self.broker)
        if now - since >= self.patience:
            log.warning(
                "session %s of %s: no server claimed it for %.0f s, so it is stopped",
                document["id"],
                person,
                now - since,
            )
            await self.broker.stop(THE_HUB, document["id"], why=UNCLAIMED, timeout=10)
        elif now >= due:
            self._alone[document["id"]] = (since, now + pause(tries), tries + 1)
            await self._join(person, name, document["id"])

    async def _join(self, person: str, name: str, session: str) -> None:
        fresh = await self.broker.session(THE_HUB, session, timeout=5)  # stopped a moment ago?
        if not stoppable(fresh) or self._active(person, name):  # or started by its person meanwhile
            return
        to_join[person, name] = session  # the next start takes the session, whoever begins it
        server = f"servers/{quote(name, safe='')}" if name else "server"
        answer = await self._http.post(f"{self.hub_api}/users/{quote(person, safe='')}/{server}")
        if answer.is_success:
            log.info("session %s of %s is joined again", session, person)
        else:
            to_join.pop((person, name), None)
            log.warning(
                "session %s of %s can't be joined: the hub said %d: %s",
                session,
                person,
                answer.status_code,
                answer.text[:200],
            )
