"""The hub's own addresses: live offers for the start page, a click on it, pages of ours, static files, and no way in through batchspawner.

batchspawner's `/api/batchspawner` sets any attribute of a spawner from a notebook's JSON, which runs commands as the hub.
Importing it registers that handler, so it is replaced in JupyterHub's own list: our sessions call the broker, not the hub.
"""

from __future__ import annotations

import asyncio
from typing import Any

import batchspawner.api  # noqa: F401  # first, so that a later import can't append its route again
from jupyterhub import handlers as stock
from jupyterhub.apihandlers import APIHandler, default_handlers
from jupyterhub.handlers import BaseHandler
from jupyterhub.handlers.pages import SpawnHandler
from tornado import web

from ..errors import ScnetError
from .accounts_page import AccountsPage
from .form import STATIC, offers_document
from .fresh import Confirm
from .headers import Static
from .placement_page import PlacementPage
from .project_page import ProjectPage
from .settlement_page import SettlementPage
from .spawner import FederatedSpawner
from .statement_page import StatementPage, StatementsPage
from .usage_page import UsagePage, UsageTable

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


class Start(SpawnHandler):
    """POST spawn/…: a click on Start. Where a start of the same server came first, by another tab or by the hub that joins a session after
    its own restart, the click leads to that one; JupyterHub would answer with an error although all is well."""

    async def _post(self, user_name: str, server_name: str, display_name: str) -> None:
        try:
            await super()._post(user_name=user_name, server_name=server_name, display_name=display_name)
        except web.HTTPError as error:
            user = self.find_user(user_name)
            spawner = user and user.spawners.get(server_name)
            if error.status_code != 400 or not spawner or not spawner.active:
                raise
            self.redirect(self._get_pending_url(user, server_name))

    async def _wrap_spawn_single_user(
        self, user: Any, server_name: str, display_name: str, spawner: Any, pending_url: str, options: Json | None = None
    ) -> None:
        try:
            await super()._wrap_spawn_single_user(user, server_name, display_name, spawner, pending_url, options)
        except web.HTTPError:
            if not spawner.active:
                raise
            self.redirect(pending_url)


def lead_starts_together() -> None:
    for number, (route, handler, *more) in enumerate(stock.default_handlers):
        if handler is SpawnHandler:
            stock.default_handlers[number] = (route, Start, *more)


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
        found["placement"] = await broker.call("POST", "placements", person, json=options, params={"quotes": "true"}, timeout=5)
        found["problem"] = found["placement"].pop("refusal", None)
    except ScnetError as error:
        found["problem"] = error.problem()
    return found


handlers = [
    (r"/accounts", AccountsPage),
    (r"/confirm", Confirm),
    (r"/placement", PlacementPage),
    (r"/project", ProjectPage),
    (r"/settlement", SettlementPage),
    (r"/statement", StatementPage),
    (r"/statements", StatementsPage),
    (r"/usage", UsagePage),
    (r"/usage\.csv", UsageTable),
    (r"/scnet/offers", Offers),
    (r"/scnet/static/(.*)", Static, {"path": str(STATIC)}),
]
