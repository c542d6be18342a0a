"""The hub's own addresses: live offers for the start page, pages of ours, static files, and no way in through batchspawner.

batchspawner's `/api/batchspawner` sets any attribute of a spawner from a notebook's JSON, which runs commands as the hub.
Importing it registers that handler, so it is replaced in JupyterHub's own list: our sessions call the broker, not the hub.
"""

from __future__ import annotations

import asyncio
from typing import Any

import batchspawner.api  # noqa: F401  # first, so that a later import can't append its route again
from jupyterhub.apihandlers import APIHandler, default_handlers
from jupyterhub.handlers import BaseHandler
from tornado import web

from ..errors import ScnetError
from .accounts_page import AccountsPage
from .form import STATIC, offers_document
from .placement_page import PlacementPage
from .spawner import FederatedSpawner

Json = dict[str, Any]
ASKED = ("project", "cores", "memory", "gpus", "gpu_model", "walltime", "centre")


class Gone(APIHandler):
    """What is left of batchspawner's callback: nothing can be set through it."""

    def check_xsrf_cookie(self) -> None:
        """There is nothing here to protect."""

    def post(self) -> None:
        raise web.HTTPError(410, "Sessions call the broker home, not the hub.")


def close_batchspawners_door() -> None:
    route = r"/api/batchspawner"
    default_handlers[:] = [handler for handler in default_handlers if handler[0] != route]
    default_handlers.append((route, Gone))


class Offers(BaseHandler):
    """GET scnet/offers?cores=…: what the start page shows, for the person who looks at it."""

    @web.authenticated
    async def get(self) -> None:
        spawner = self.current_user.spawner
        asked = {name: self.get_argument(name) for name in ASKED if self.get_argument(name, "") != ""}
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "no-store")
        found = await facts(spawner, asked)
        self.finish(offers_document(found["centres"], found["placement"], found["projects"], found["problem"]))


async def facts(spawner: FederatedSpawner, options: Json) -> Json:
    """Centres, placement, balances and profiles for a request; what can't be had is None or [], with the `problem`."""
    broker, person = spawner.broker, spawner.user.name
    spawner.cancels.retry_all(broker)
    found: Json = {"centres": [], "placement": None, "projects": [], "profiles": [], "problem": None}
    try:
        centres, balance, profiles = await asyncio.gather(
            broker.call("GET", "centres", person, timeout=5),
            broker.call("GET", "balance", person, timeout=5),
            broker.call("GET", "profiles", person, timeout=5),
        )
        found |= {"centres": centres["centres"], "projects": balance["projects"], "profiles": profiles["profiles"]}
        found["placement"] = await broker.call("POST", "placements", person, json=options, timeout=5)
        found["problem"] = found["placement"].pop("refusal", None)
    except ScnetError as error:
        found["problem"] = error.problem()
    return found


handlers = [
    (r"/accounts", AccountsPage),
    (r"/placement", PlacementPage),
    (r"/scnet/offers", Offers),
    (r"/scnet/static/(.*)", web.StaticFileHandler, {"path": str(STATIC)}),
]
