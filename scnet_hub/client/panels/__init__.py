"""Panels for the notebook: `panel()` shows centres, own sessions and the allocation, and keeps itself fresh.

Needs the `notebook` extra (ipywidgets, anywidget). It knows the broker through `client/rest.py` only.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from ..rest import Client

if TYPE_CHECKING:
    from .poller import Poller
    from .view import JobView, Panel

Json = dict[str, Any]
_lock = threading.Lock()
_pollers: dict[Client, Poller] = {}


def panel(client: Client | None = None) -> Panel:
    """A live panel; the last line of a cell shows it. A broker that does not answer is said in the panel, not raised.

    Raises BrokerError only if no broker is configured at all (see `client.find_broker`).
    """
    from .view import Panel

    chosen = client or _shared_client()
    return Panel(poller_of(chosen), chosen.stop)


def job_view(client: Client, session: Json) -> JobView:
    """The live view of one batch job, beside whatever panels there are: all of them share one question to the broker."""
    from .view import JobView

    return JobView(poller_of(client), client.stop, session)


def poller_of(client: Client) -> Poller:
    """The one poller of this process for that client."""
    from .poller import Poller, ask

    with _lock:
        if client not in _pollers:
            _pollers[client] = Poller(lambda: ask(client))
        return _pollers[client]


def _shared_client() -> Client:
    from ..rest import shared_client

    return shared_client()
