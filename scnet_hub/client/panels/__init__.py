"""Panels for the notebook: `panel()` shows centres, own sessions and allocations, `panel("sessions")` and others show a
part; each panel refreshes itself.

A panel is a pair of files, `NAME.py` and `NAME.js`: the Python file defines what is asked and makes the state of the
answers, the JavaScript file draws the state. The pairs use `base.py`, `base.js` and `frame.js`. Needs the `notebook`
extra (ipywidgets, anywidget). This package knows the broker through `client/rest.py` only.
"""

from __future__ import annotations

import threading
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import BadOption
from ..rest import Client

if TYPE_CHECKING:
    from .base import Panel
    from .poller import Poller
    from .sessions import JobView

Json = dict[str, Any]
_HERE = Path(__file__).parent
_lock = threading.Lock()
_pollers: dict[Client, Poller] = {}


def panel(name: str = "overview", /, *, client: Client | None = None, **options: Any) -> Panel:
    """Opens a live panel; as the last line of a cell it shows itself. `names()` lists the panels; `options` are the
    panel's own. A broker that does not answer is reported in the panel, not raised.

    Raises BadOption for an unknown panel or option, and BrokerError if no broker is configured at all (see
    `client.rest.find_broker`).
    """
    if name not in names():
        raise BadOption(f"Unknown panel {name!r}.", hint=f"Choose one of: {', '.join(names())}.")
    kind: type[Panel] = import_module(f".{name}", __name__).PANEL
    known = [one for one, given in signature(kind.__init__).parameters.items() if given.kind is given.KEYWORD_ONLY]
    if unknown := ", ".join(sorted(set(options) - set(known))):
        hint = f"Its options are: {', '.join(known)}." if known else "It has no options."
        raise BadOption(f"The panel {name!r} has no option {unknown}.", hint=hint)
    chosen = client or _shared_client()
    return kind(poller_of(chosen), chosen.stop, **options)


def names() -> list[str]:
    """Lists the panels: each pair of a Python and a JavaScript file whose Python file names its class `PANEL`."""
    pairs = [script.stem for script in sorted(_HERE.glob("*.js")) if script.with_suffix(".py").exists()]
    return [name for name in pairs if hasattr(import_module(f".{name}", __name__), "PANEL")]


def job_view(client: Client, session: Json) -> JobView:
    """Opens the live view of one batch job. It shares the poller with all panels."""
    from .sessions import JobView

    return JobView(poller_of(client), client.stop, session)


def poller_of(client: Client) -> Poller:
    """Returns the one poller of this process for that client."""
    from .poller import Poller

    with _lock:
        if client not in _pollers:
            _pollers[client] = Poller(lambda question: question.ask(client))
        return _pollers[client]


def _shared_client() -> Client:
    from ..rest import shared_client

    return shared_client()
