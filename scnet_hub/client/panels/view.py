"""The one widget of ours: a `state` dict over the wire, drawn by panel.js, with an HTML and a text snapshot beside it.

`View` draws any state and forwards what the browser says (a stop, "somebody looks", "gone"); `Panel` is a View that the
kernel's shared poller keeps fresh. Nothing is loaded from an address: script and style travel over the kernel's comm.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from ...errors import ScnetError
from . import snapshot
from .poller import Poller
from .state import job_state, one_job, with_problem

Json = dict[str, Any]
_HERE = Path(__file__).parent


class View(anywidget.AnyWidget):
    """Draws `state`. `on_say(kind, body)` hears the browser, in whatever thread the kernel reads comms."""

    _esm = (_HERE / "panel.js").read_text(encoding="utf-8")
    _css = (_HERE / "panel.css").read_text(encoding="utf-8")
    state = traitlets.Dict().tag(sync=True)

    def __init__(self, shown: Json, on_say: Callable[[str, Json], None] | None = None) -> None:
        super().__init__(state=shown)
        self._on_say = on_say or (lambda kind, body: None)
        self.on_msg(self._heard)

    def _heard(self, _widget: Any, body: Any, _buffers: Any) -> None:
        if isinstance(body, dict) and isinstance(body.get("say"), str):
            self._on_say(body["say"], body)

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[Json, Json]:
        data, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        return {**data, "text/html": snapshot.html(self.state), "text/plain": snapshot.text(self.state)}, metadata

    def __repr__(self) -> str:
        return snapshot.text(self.state)


class Panel(View):
    """Centres, sessions and allocation, live. `close()` ends it; `stop_session(id)` is what its Stop buttons do."""

    def __init__(self, poller: Poller, stop: Callable[[str], Any]) -> None:
        self._poller, self._stop = poller, stop
        super().__init__(poller.refresh(), self._said)

    def show(self, shown: Json) -> None:
        """The poller's listener."""
        self.state = shown

    def watch(self) -> None:
        self._poller.watch(self.show)

    def close(self) -> None:
        self._poller.leave(self.show)
        super().close()

    def stop_session(self, session_id: str) -> None:
        """Asks the broker to stop a session; a refusal is shown in words. Blocks for the answer."""
        try:
            self._stop(session_id)
        except ScnetError as error:
            self.state = with_problem(self.state, error)
        else:
            self._poller.soon()

    def _said(self, kind: str, body: Json) -> None:
        if kind == "here":
            self.watch()
        elif kind == "gone":
            self._poller.leave(self.show)
        elif kind == "stop" and isinstance(body.get("id"), str):
            threading.Thread(target=self.stop_session, args=(body["id"],), name="scnet-stop", daemon=True).start()

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[Json, Json]:
        self.watch()
        return super()._repr_mimebundle_(**kwargs)


class JobView(Panel):
    """One batch job, live; a job that has left the list of recent sessions is shown as it was last seen."""

    def __init__(self, poller: Poller, stop: Callable[[str], Any], session: Json) -> None:
        self._id = str(session["id"])
        self._poller, self._stop = poller, stop
        View.__init__(self, job_state(session, datetime.now(UTC)), self._said)

    def show(self, shown: Json) -> None:
        self.state = one_job(shown, self._id, self.state)
