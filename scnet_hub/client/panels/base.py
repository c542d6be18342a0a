"""The base of all panels: a widget that draws its `state` by the panel's script, with an HTML and a text form.

`View` draws any state and forwards the browser's messages (a stop, "the panel is visible", "gone"); `Panel` is a View
that the kernel's poller keeps fresh. A panel is one Python file, which defines what is asked and what is shown, and one
JavaScript file of the same name, which draws it. Nothing is loaded from an address: script and style travel over the
kernel's comm.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import anywidget
import traitlets

from ...errors import ScnetError
from . import snapshot
from .poller import Poller, Question
from .state import NOTHING, with_refusal

Json = dict[str, Any]
_HERE = Path(__file__).parent
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./(\w+)\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:function|class|const) )", re.MULTILINE)
_DEFAULT = re.compile(r"^export default ", re.MULTILINE)


@cache
def script(name: str) -> str:
    """Joins `name`.js with the files that it imports into the one module that a widget takes, so that no bundler is
    needed.

    An import must name a file of this folder. The default export of an imported file must be its last statement; it is
    left out.
    """
    files = list(dict.fromkeys(_imports(name)))
    return "\n".join([*(_DEFAULT.split(_own(one))[0] for one in files[:-1]), _own(name)])


def _imports(name: str) -> list[str]:
    """Returns `name` after everything that it imports, directly or not."""
    return [other for wanted in _IMPORT.findall(_source(name)) for other in _imports(wanted)] + [name]


def _own(name: str) -> str:
    return _EXPORT.sub("", _IMPORT.sub("", _source(name)))


def _source(name: str) -> str:
    return (_HERE / f"{name}.js").read_text(encoding="utf-8")


class View(anywidget.AnyWidget):
    """Draws `state`. `on_say(kind, body)` receives the browser's messages, in the thread in which the kernel reads
    comms."""

    _css = (_HERE / "panel.css").read_text(encoding="utf-8")
    state = traitlets.Dict().tag(sync=True)
    parts: ClassVar[Sequence[snapshot.Part]] = ()  # the parts of the saved form, in order

    def __init__(self, shown: Json, on_say: Callable[[str, Json], None] | None = None) -> None:
        super().__init__(state=shown)
        self._on_say = on_say or (lambda kind, body: None)
        self.on_msg(self._heard)

    def _heard(self, _widget: Any, body: Any, _buffers: Any) -> None:
        if isinstance(body, dict) and isinstance(body.get("say"), str):
            self._on_say(body["say"], body)

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[Json, Json]:
        data, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        return {**data, "text/html": snapshot.html(self.state, self.parts), "text/plain": repr(self)}, metadata

    def __repr__(self) -> str:
        return snapshot.text(self.state, self.parts)


class Panel(View):
    """A live panel. A subclass names its script and its saved form, says what it asks, and makes a state of the answers
    in `draw`.

    `close()` ends it; `stop_session(id)` is what a Stop button does.
    """

    questions: Sequence[Question] = ()

    def __init__(self, poller: Poller, stop: Callable[[str], Any]) -> None:
        self._poller, self._stop = poller, stop
        super().__init__(NOTHING, self._said)
        self.show(poller.ask(self))

    def draw(self, answers: Sequence[Any], now: datetime) -> Json:
        """Makes the state of the answers to `questions`, in their order; see `state.shown`."""
        raise NotImplementedError

    def show(self, shown: Json) -> None:
        self.state = shown

    def watch(self) -> None:
        self._poller.watch(self)

    def close(self) -> None:
        if hasattr(self, "_poller"):  # missing if the constructor refused an option; Widget.__del__ closes too
            self._poller.leave(self)
        super().close()

    def stop_session(self, session_id: str) -> None:
        """Asks the broker to stop a session; shows a refusal in words. Blocks until the answer."""
        try:
            self._stop(session_id)
        except ScnetError as error:
            self.state = with_refusal(self.state, error)
        else:
            self._poller.soon()

    def _said(self, kind: str, body: Json) -> None:
        if kind == "here":
            self.watch()
        elif kind == "gone":
            self._poller.leave(self)
        elif kind == "stop" and isinstance(body.get("id"), str):
            threading.Thread(target=self.stop_session, args=(body["id"],), name="scnet-stop", daemon=True).start()

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[Json, Json]:
        self.watch()
        return super()._repr_mimebundle_(**kwargs)
