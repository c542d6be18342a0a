"""The hub's client of its proxy, a separate process: a proxy that was restarted gets all its routes back within
seconds.

JupyterHub checks only every five minutes whether routes are missing; until then every Lab and the broker would answer
with the hub's 403. And a stopped named server keeps a route, to the hub, while its person's default server runs: the
default server's address is a prefix of the named server's address, so the Lab would answer with a bare 404 where the
hub has a page that says "stopped" and offers Start.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

from jupyterhub import orm
from jupyterhub.proxy import ConfigurableHTTPProxy, Proxy
from jupyterhub.utils import url_escape_path, url_path_join
from traitlets import Float

from .stopping import Keeping

Json = dict[str, Any]


def default_runs(user: Any) -> bool:
    default = user.spawners.get("")
    return bool(default is not None and default.ready)


class KeepsStopped(Proxy):
    """Routes a person's stopped named servers to the hub while the default server runs. These routes have the mark
    STOPPED and no "user", so that JupyterHub's own check does not take them for routes of running servers."""

    async def add_user(self, user: Any, server_name: str = "") -> None:
        await super().add_user(user, server_name)
        if not server_name:
            for name, orm_spawner in user.orm_user.orm_spawners.items():
                if name and orm_spawner.server is None and not (name in user.spawners and user.spawners[name].active):
                    await self._to_the_hub(user, name)

    async def delete_user(self, user: Any, server_name: str = "") -> None:
        if server_name and default_runs(user):
            await self._to_the_hub(user, server_name)
        else:
            await super().delete_user(user, server_name)

    async def check_routes(
        self, user_dict: Mapping[str, Any], service_dict: Mapping[str, Any], routes: Json | None = None
    ) -> None:
        """Runs JupyterHub's check, which would delete routes without a running server, on all routes but ours; then
        checks ours."""
        found = routes or await self.get_all_routes()
        ours = {spec for spec, route in found.items() if STOPPED in route["data"]}
        await super().check_routes(user_dict, service_dict, {spec: found[spec] for spec in found.keys() - ours})
        wanted = self._wanted(user_dict)
        for spec in wanted.keys() - ours:
            await self._to_the_hub(*wanted[spec])
        active = {one.proxy_spec for user in user_dict.values() for one in user.spawners.values() if one.active}
        for spec in ours - wanted.keys() - active:
            await self.delete_route(spec)

    def _wanted(self, user_dict: Mapping[str, Any]) -> dict[str, tuple[Any, str]]:
        """Returns the stopped named servers that need a route, as {route: (person, name)}; with one query for all."""
        stopped = (
            self.app.db.query(orm.Spawner.user_id, orm.Spawner.name)
            .filter(orm.Spawner.name != "", orm.Spawner.server_id.is_(None))
            .all()
        )
        if not stopped:
            return {}
        people = {user.id: user for user in user_dict.values() if default_runs(user)}
        known = ((people[number], name) for number, name in stopped if number in people)
        return {
            self._spec(user, name): (user, name)
            for user, name in known
            if not (name in user.spawners and user.spawners[name].active)
        }

    async def _to_the_hub(self, user: Any, name: str) -> None:
        await self.add_route(self._spec(user, name), self.hub.host, {STOPPED: name, "person": user.name})

    def _spec(self, user: Any, name: str) -> str:
        return str(url_path_join(user.proxy_spec, url_escape_path(name), "/"))


STOPPED = "scnet_stopped"  # the mark of such a route


class LastingProxy(Keeping, KeepsStopped, ConfigurableHTTPProxy):
    """Restores the routes of a new proxy, which it recognises by the missing route of the hub."""

    look_interval = Float(3.0, help="Seconds between two checks whether the proxy still has its routes.").tag(
        config=True
    )
    _keeping: asyncio.Task[None] | None = None

    async def check_routes(
        self, user_dict: Mapping[str, Any], service_dict: Mapping[str, Any], routes: Any = None
    ) -> None:
        await super().check_routes(user_dict, service_dict, routes)
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._keep_routes())

    async def _keep_routes(self) -> None:
        while True:
            await asyncio.sleep(self.look_interval)
            with contextlib.suppress(Exception):  # a proxy that does not answer is asked again
                routes = await self.get_all_routes()
                if self.hub.routespec not in routes:
                    self.log.warning("The proxy was restarted: its routes are restored.")
                    await super().check_routes(self.app.users, self.app._service_map, routes)
