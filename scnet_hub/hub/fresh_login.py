"""Requires a recent login for actions with lasting effect: account links, tokens, answers to statements and
allocations, closing a month.

Each authentication sets a signed cookie below the hub's own path, which counts as a recent login for 15 minutes. After
that people confirm their identity at `/hub/confirm`, by password or at the identity provider, as for a login. This uses
`post_auth_hook`: a site with its own hook must call `remember_login` in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from jupyterhub import handlers as stock
from jupyterhub.apihandlers import default_handlers
from jupyterhub.apihandlers.users import UserTokenListAPIHandler
from jupyterhub.handlers import BaseHandler
from jupyterhub.handlers.pages import TokenPageHandler
from jupyterhub.utils import url_path_join
from tornado import web
from tornado.httputil import url_concat

from ..errors import NotEntitled

COOKIE = "scnet-login"
FRESH = timedelta(minutes=15)
LONGEST_TOKEN = timedelta(days=90)
WHY = f"Confirm first that it is you: your last login was more than {FRESH // timedelta(minutes=1)} minutes ago."


def remember_login(authenticator: Any, handler: Any, found: Any) -> Any:
    """Sets the cookie of a recent login; for `c.Authenticator.post_auth_hook`."""
    if found:
        handler._set_cookie(COOKIE, str(found["name"]), path=handler.hub.base_url, expires_days=None)
    return found


def is_fresh(handler: Any) -> bool:
    """Returns whether the calling person logged in, or confirmed, within the last 15 minutes."""
    said = handler.get_secure_cookie(COOKIE, max_age_days=FRESH / timedelta(days=1))
    return bool(said) and said.decode() == handler.current_user.name


def confirm_url(handler: Any) -> str:
    """Returns the URL where the person confirms and from which they return to this page."""
    here = handler.request.uri if handler.request.method == "GET" else handler.request.path
    return f"{handler.hub.base_url}confirm?next={quote(here, safe='')}"


def require_fresh(handler: Any) -> None:
    """Raises NotEntitled unless `is_fresh`."""
    if not is_fresh(handler):
        raise NotEntitled(WHY, hint="Press Confirm above, then do it again.", code="confirm-first")


class Confirm(BaseHandler):
    """GET shows a form for the password, or leads to the identity provider; POST checks the password as a login
    does."""

    @web.authenticated
    async def get(self) -> None:
        await self._show()

    @web.authenticated
    async def post(self) -> None:
        name = self.current_user.name
        if self._elsewhere():
            return await self._show()
        try:
            who = await self.login_user(
                {"username": name, "password": self.get_body_argument("password", "", strip=False)}
            )
        except web.HTTPError as error:  # not checked: the sentence is that of the login page
            return await self._refuse(
                error.status_code, str(error.log_message or "") % error.args, getattr(error, "headers", {})
            )
        if who is None or who.name != name:
            return await self._refuse(403, "The password is wrong.")
        self.redirect(self._next(), status=303)

    async def _refuse(self, status: int, why: str, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        self.set_status(status)
        for header, value in headers.items():
            self.set_header(header, value)
        await self._show(why or "You can't be logged in now. Try again in a minute.")

    def _next(self) -> str:
        asked = self._validate_next_url(self.get_argument("next", ""))
        return str(asked) if asked.startswith(self.hub.base_url) else url_path_join(self.hub.base_url, "home")

    def _elsewhere(self) -> str:
        """Returns the URL of the identity provider's login; "" if people log in on the hub's own page."""
        url = str(self.authenticator.login_url(self.hub.base_url))
        return "" if url == self.settings["login_url"] else url_concat(url, {"next": self._next()})

    async def _show(self, error: str = "") -> None:
        self.set_header("Cache-Control", "no-store")
        html = await self.render_template("confirm.html", elsewhere=self._elsewhere(), next=self._next(), error=error)
        self.finish(html)


class NewToken(UserTokenListAPIHandler):
    """Makes a token for a recent login, or for another token, which it does not outlive: a stolen token can't be
    renewed for ever."""

    def get_json_body(self) -> Any:
        found = super().get_json_body() or {}
        if not isinstance(found, dict):
            return found
        if not isinstance(found.get("note") or "", str):
            raise web.HTTPError(400, "note: must be text.")
        asked, left = found.get("expires_in"), self._left()
        if left is not None and isinstance(asked, int) and asked > left:
            raise web.HTTPError(
                400,
                f"expires_in: {asked} s is too long: the token of this call expires in {left} s. Log in to make "
                "a longer token.",
            )
        return (
            found
            if asked is not None or left is None
            else found | {"expires_in": min(left, int(LONGEST_TOKEN.total_seconds()))}
        )

    def _left(self) -> int | None:
        """Returns the seconds until the calling token expires; None for a login, and for a token that does not
        expire."""
        maker = self.get_token()
        ends = maker.expires_at if maker else None
        return max(1, int((ends - datetime.now(UTC).replace(tzinfo=None)).total_seconds())) if ends else None

    async def post(self, user_name: str) -> None:
        if self.current_user is not None and self.get_token() is None and not is_fresh(self):
            raise web.HTTPError(
                403,
                f"{WHY} Open {self.hub.base_url}confirm?next={self.hub.base_url}token, then request the token again.",
            )
        await super().post(user_name)


class TokenPage(TokenPageHandler):
    """Says before a person fills in the form that the login is too old."""

    def render_template(self, name: str, **said: Any) -> Any:
        return super().render_template(name, **said, confirm_url="" if is_fresh(self) else confirm_url(self))


def ask_for_recent_logins(c: Any) -> None:
    c.Authenticator.post_auth_hook = remember_login
    c.JupyterHub.token_expires_in_max_seconds = int(LONGEST_TOKEN.total_seconds())
    default_handlers[:] = [
        (route, NewToken if handler is UserTokenListAPIHandler else handler) for route, handler in default_handlers
    ]
    for number, (route, handler, *more) in enumerate(stock.default_handlers):
        if handler is TokenPageHandler:
            stock.default_handlers[number] = (route, TokenPage, *more)
