"""The hub's way to its proxy, which is a process of its own: one that was started again gets all its routes back within seconds.

JupyterHub looks every five minutes whether routes are missing; until then every lab, and the broker's door, would be the hub's 403.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

from jupyterhub.proxy import ConfigurableHTTPProxy
from traitlets import Float

from .stopping import Keeping


class LastingProxy(Keeping, ConfigurableHTTPProxy):
    """A new proxy knows no route of the hub's: by that it is told from the one that we filled."""

    look_interval = Float(3.0, help="Seconds between two looks whether the proxy still has its routes.").tag(config=True)
    _keeping: asyncio.Task[None] | None = None

    async def check_routes(self, user_dict: Mapping[str, Any], service_dict: Mapping[str, Any], routes: Any = None) -> None:
        await super().check_routes(user_dict, service_dict, routes)
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._keep_routes())

    async def _keep_routes(self) -> None:
        while True:
            await asyncio.sleep(self.look_interval)
            with contextlib.suppress(Exception):  # a proxy that does not answer is asked again
                routes = await self.get_all_routes()
                if self.hub.routespec not in routes:
                    self.log.warning("The proxy was started anew: it gets its routes back.")
                    await super().check_routes(self.app.users, self.app._service_map, routes)
