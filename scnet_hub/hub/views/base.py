"""The base class of the hub's own pages: the calling person, the client of the broker, the answer."""

from __future__ import annotations

from typing import Any

from jupyterhub.handlers import BaseHandler

from ...domain import identifiers
from ...errors import ScnetError
from ..broker_client import Broker
from ..fresh_login import confirm_url, is_fresh

Json = dict[str, Any]


class Page(BaseHandler):
    """A page for people who are logged in: its methods are `web.authenticated`. If a change needs a recent login,
    `post` calls `require_fresh`, and `confirms` is True."""

    @property
    def confirms(self) -> bool:
        return False

    @property
    def person(self) -> str:
        return identifiers.person(self.current_user.name)

    @property
    def operator(self) -> bool:
        return bool(self.current_user.admin)

    @property
    def broker(self) -> Broker:
        broker: Broker = self.current_user.spawner.broker
        return broker

    async def say(self, template: str, view: Json, *refused: ScnetError | None, here: str) -> None:
        """Sends the page, not to be cached, with the status of the first refusal; `here` is its link in the navigation
        bar."""
        error = next((one for one in refused if one), None)
        if error:
            self.set_status(error.status)
        self.set_header("Cache-Control", "no-store")
        url = confirm_url(self) if self.confirms and not is_fresh(self) else ""
        self.finish(await self.render_template(template, view=view, here=here, confirm_url=url))
