"""The hub's own addresses: live offers for the start page, a click on Start, the project's pages, static files, and a
replacement of batchspawner's callback.

batchspawner's `/api/batchspawner` sets any attribute of a spawner from a notebook's JSON, which runs commands as the
hub. Importing batchspawner registers that handler, so this module replaces it in JupyterHub's own list: sessions call
the broker, not the hub.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import batchspawner.api  # noqa: F401  # first, so that a later import can't append its route again
from jupyterhub import handlers as stock
from jupyterhub.apihandlers import APIHandler, default_handlers
from jupyterhub.apihandlers.users import UserServerAPIHandler
from jupyterhub.handlers import BaseHandler
from jupyterhub.handlers.base import UserUrlHandler
from jupyterhub.handlers.pages import HomeHandler, SpawnHandler
from jupyterhub.handlers.static import LogoHandler
from jupyterhub.slugs import is_valid_display_name
from tornado import web

from ..display.request_fields import ON_FORM
from ..errors import ScnetError
from . import user_options
from .fresh_login import Confirm
from .headers import Static
from .spawner import FederatedSpawner
from .stopping import StopServer
from .views.accounts import AccountsPage
from .views.home import Home, NotRunning, StopOthers
from .views.placement import PlacementPage
from .views.project import ProjectPage
from .views.settlement import SettlementPage
from .views.start_form import OWN, PANELS, STATIC, offers_document
from .views.statements import StatementPage, StatementsPage
from .views.usage import UsagePage, UsageTable

Json = dict[str, Any]
T = TypeVar("T")


class Gone(APIHandler):
    """Replaces batchspawner's callback: nothing can be set through it."""

    def check_xsrf_cookie(self) -> None:
        """Does nothing: the handler has no effect that needs protection."""

    def post(self) -> None:
        raise web.HTTPError(410, "Sessions call the broker, not the hub.")


def close_batchspawners_door() -> None:
    route = r"/api/batchspawner"
    default_handlers[:] = [handler for handler in default_handlers if handler[0] != route]
    default_handlers.append((route, Gone))


class Start(SpawnHandler):
    """POST spawn/…: a click on Start. If the same server is already starting, through another tab or through the hub
    that joins a session after its own restart, the click leads to that start; JupyterHub would answer with an error
    although nothing is wrong."""

    async def prepare(self) -> None:
        for values in self.request.arguments.values():
            for value in values:
                utf8(value)
        await super().prepare()

    def _get_user_options(self, query_options: dict[str, list[str]]) -> Json:
        """Puts a link's options into the form; only a click on Start begins a session, whatever the browser says about
        where it comes from."""
        self.linked = user_options.linked(super()._get_user_options(query_options))
        return {}

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
        self,
        user: Any,
        server_name: str,
        display_name: str,
        spawner: Any,
        pending_url: str,
        options: Json | None = None,
    ) -> None:
        try:
            await super()._wrap_spawn_single_user(user, server_name, display_name, spawner, pending_url, options)
        except web.HTTPError:
            if not spawner.active:
                raise
            self.redirect(pending_url)


def utf8(value: bytes) -> None:
    """Raises HTTPError for bytes that are not UTF-8 text, because JupyterHub decodes the fields of a start without a
    check."""
    try:
        value.decode()
    except UnicodeDecodeError as error:
        raise web.HTTPError(400, "A field of this request is not UTF-8 text.") from error


class Servers(StopServer):
    """users/NAME/server(s/SERVER) of JupyterHub's REST: checks options before anything is stored or started; JupyterHub
    alone would answer 202 and the session's start would fail later."""

    def get_json_body(self) -> Any:
        found = self._refusing(user_options.read, self.request.body)
        shown = found.get("display_name") if isinstance(found, dict) else None
        # JupyterHub checks only new servers' names
        if shown and not (isinstance(shown, str) and is_valid_display_name(shown)):
            raise web.HTTPError(
                400,
                "display_name: must have at most 255 printable characters, without spaces at its ends or two in a row.",
            )
        return found

    def get_server_json_body(self) -> Json:
        self._refusing(user_options.refuse_strays, self.get_json_body())
        found: Json = super().get_server_json_body()
        self._check(found["user_options"])
        return found

    async def patch(self, user_name: str, server_name: str = "") -> None:
        found = self.get_json_body() or {}
        self._refusing(user_options.refuse_changes, found)
        if isinstance(found.get("user_options"), dict):
            self._check(found["user_options"])
        await super().patch(user_name, server_name)

    def _check(self, wanted: Any) -> None:
        person, server = [*self.path_args, ""][:2]
        self._refusing(user_options.checked, wanted or {}, person, server)

    def _refusing(self, work: Callable[..., T], *given: Any) -> T:
        try:
            return work(*given)
        except ScnetError as error:
            raise said(error) from error

    async def spawn_single_user(
        self, user: Any, server_name: str = "", display_name: str | None = None, options: Json | None = None
    ) -> Any:
        if options is not None:
            spawner = user.spawners[server_name]
            try:
                sizes = await user_options.resolved(
                    user_options.checked(options, user.name, server_name), spawner.listed_profiles
                )
            except ScnetError as error:
                raise said(error) from error
            options = {**sizes, "profile": options.get("profile", OWN)}
        return await super().spawn_single_user(user, server_name, display_name, options=options)


def said(error: ScnetError) -> web.HTTPError:
    """Returns a refusal in the form of JupyterHub's REST."""
    return web.HTTPError(error.status, f"{error} {error.hint}".strip())


OURS = {SpawnHandler: Start, HomeHandler: Home, UserUrlHandler: NotRunning, UserServerAPIHandler: Servers}


def put_ours_in_place() -> None:
    """Replaces the JupyterHub handlers that do more here: starts by page and by REST, My sessions, the address of a
    session that is not running."""
    for handlers_of in (stock.default_handlers, default_handlers):
        for number, (route, handler, *more) in enumerate(handlers_of):
            handlers_of[number] = (route, OURS.get(handler, handler), *more)


class Logo(LogoHandler):
    """Serves JupyterHub's logo, with the headers of all answers."""

    def initialize(self) -> None:
        super().initialize(self.settings["app"].logo_file)

    def set_default_headers(self) -> None:
        Static.set_default_headers(self)


class Offers(BaseHandler):
    """GET scnet/offers?cores=…: what the start page shows to the person who looks at it."""

    @web.authenticated
    async def get(self) -> None:
        spawner = self.current_user.spawner
        asked = {name: self.get_argument(name) for name in ON_FORM if self.get_argument(name, "") != ""}
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "no-store")
        found = await facts(spawner, asked)
        self.finish(offers_document(found["centres"], found["placement"], found["projects"], found["problem"]))


async def facts(spawner: FederatedSpawner, options: Json) -> Json:
    """Returns centres, placement, balances and profiles for a request; facts that are not available are None or [],
    with the `problem`."""
    broker, person = spawner.broker, spawner.user.name
    spawner.cancels.retry_all(broker)
    found: Json = {"centres": [], "placement": None, "projects": [], "profiles": [], "problem": None}
    try:
        centres, balance, profiles = await asyncio.gather(
            broker.listed("centres", "centres", person, timeout=5),
            broker.listed("balances", "balances", person, timeout=5),
            broker.listed("profiles", "profiles", person, timeout=5),
        )
        found |= {"centres": centres["centres"], "projects": balance["balances"], "profiles": profiles["profiles"]}
        found["placement"] = await broker.call(
            "POST", "placements", person, json=options, params={"quotes": "true"}, timeout=5
        )
        found["problem"] = found["placement"].pop("refusal", None)
    except ScnetError as error:
        found["problem"] = error.problem()
    return found


handlers = [
    (r"/accounts", AccountsPage),
    (r"/confirm", Confirm),
    (r"/logo", Logo),
    (r"/placement", PlacementPage),
    (r"/project", ProjectPage),
    (r"/settlement", SettlementPage),
    (r"/statement", StatementPage),
    (r"/statements", StatementsPage),
    (r"/usage", UsagePage),
    (r"/usage\.csv", UsageTable),
    (r"/scnet/offers", Offers),
    (r"/scnet/stop", StopOthers),
    (r"/scnet/static/(times\.js)", Static, {"path": str(PANELS)}),
    (r"/scnet/static/(.*)", Static, {"path": str(STATIC)}),
]
