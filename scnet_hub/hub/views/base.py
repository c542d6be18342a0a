"""What the hub's own pages share: who asks, the line to the broker, and how a page is answered."""

from __future__ import annotations

from typing import Any

from jupyterhub.handlers import BaseHandler

from ...domain import identifiers
from ...errors import ScnetError
from ..broker_client import Broker
from ..fresh_login import confirm_url, is_fresh

Json = dict[str, Any]


class Page(BaseHandler):
    """For who is logged in: its methods are `web.authenticated`. Where what it changes needs a recent login, `post` calls `require_fresh`,
    and `confirms` is True."""

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
        """The page as it is now, kept by nobody, with the status of what was refused first; `here` is its link in the bar above."""
        error = next((one for one in refused if one), None)
        if error:
            self.set_status(error.status)
        self.set_header("Cache-Control", "no-store")
        url = confirm_url(self) if self.confirms and not is_fresh(self) else ""
        self.finish(await self.render_template(template, view=view, here=here, confirm_url=url))
