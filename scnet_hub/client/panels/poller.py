"""One daemon thread per kernel that asks the broker on behalf of all panels, and only while at least one panel is
visible.

Each panel lists its questions; a question of several panels is sent once. The thread asks every few seconds while
something changes and every half minute while nothing does; after an error it backs off. It is a thread, not a task on
the kernel's loop, because a long-running cell blocks that loop. It knows nothing of widgets.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from ...errors import BrokerError, ScnetError
from ..rest import Client
from .state import facts, with_problem

Json = dict[str, Any]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Question:
    """A method of the client with its keyword arguments. Equal questions are sent once for all panels."""

    method: str
    options: tuple[tuple[str, Any], ...] = ()

    def ask(self, client: Client) -> Any:
        return getattr(client, self.method)(**dict(self.options))


def question(method: str, **options: Any) -> Question:
    """Makes the question `client.method(**options)`."""
    return Question(method, tuple(sorted(options.items())))


class Asking(Protocol):
    """A panel as the poller sees it: its questions, its current state, and where the answers go."""

    @property
    def questions(self) -> Sequence[Question]: ...
    @property
    def state(self) -> Json: ...
    def draw(self, answers: Sequence[Any], now: datetime) -> Json: ...
    def show(self, shown: Json) -> None: ...


Answers = Mapping[Question, Any]  # an answer, or the ScnetError that came instead


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between turns. `repeat`: an unchanged state is sent again after this time, to show that it still holds;
    `patience`: a panel that was not reported as visible for this time is no longer served."""

    fast: float = 3.0
    steady: float = 30.0
    longest: float = 120.0
    repeat: float = 60.0
    patience: float = 1800.0

    def pause(self, *, moving: bool, failures: int) -> float:
        """Returns the pause before the next turn, without jitter."""
        if failures:
            return min(self.longest, self.fast * 2 ** min(failures - 1, 10))
        return self.fast if moving else self.steady


class Poller:
    """Asks on behalf of all watched panels; its thread lives while at least one panel was recently visible."""

    def __init__(self, answer: Callable[[Question], Any], pace: Pace = Pace()) -> None:
        self._answer, self.pace = answer, pace
        self._lock = threading.Lock()
        self._panels: dict[Asking, float] = {}
        self._sent: dict[Asking, tuple[float, Json]] = {}
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        return self._thread is not None

    def watch(self, panel: Asking) -> None:
        """Counts `panel` as visible from now on, and starts to ask if no panel was visible before."""
        with self._lock:
            self._panels[panel] = time.monotonic()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="scnet-panels", daemon=True)
                self._thread.start()

    def leave(self, panel: Asking) -> None:
        with self._lock:
            self._panels.pop(panel, None)
            self._sent.pop(panel, None)
            if not self._panels:
                self._wake.set()

    def soon(self) -> None:
        """Asks again at once, after an action."""
        self._wake.set()

    def ask(self, panel: Asking) -> Json:
        """Asks for one panel now, in the caller's thread; an error becomes the state's `problem`. Returns the panel's
        new state."""
        return drawn(panel, self._answers(panel.questions), datetime.now(UTC))

    def _run(self) -> None:
        failures = 0
        while watched := self._watched():
            answers = self._answers(dict.fromkeys(one for panel in watched for one in panel.questions))
            now = datetime.now(UTC)
            states = [(panel, drawn(panel, answers, now)) for panel in watched]
            for panel, shown in states:
                self._send(panel, shown)
            failures = failures + 1 if all(shown["problem"] for _, shown in states) else 0
            pause = self.pace.pause(moving=any(shown["moving"] for _, shown in states), failures=failures)
            self._wake.wait(pause * random.uniform(0.85, 1.15))
            self._wake.clear()

    def _answers(self, questions: Iterable[Question]) -> Answers:
        """Asks each question; returns its answer or its error. If the broker does not answer, the other questions are
        not asked."""
        answers: dict[Question, Any] = {}
        silence: BrokerError | None = None
        for one in questions:
            try:
                answers[one] = silence or self._answer(one)
            except BrokerError as error:
                answers[one] = silence = error
            except ScnetError as error:
                answers[one] = error
            except Exception as error:  # an answer of another shape: report it, don't end the thread
                answers[one] = unreadable(error)
        return answers

    def _watched(self) -> list[Asking]:
        """Returns the panels that were recently visible; without any, the thread's end is decided under the lock."""
        with self._lock:
            oldest = time.monotonic() - self.pace.patience
            watched = [panel for panel, at in self._panels.items() if at >= oldest]
            if not watched:
                self._thread = None
            return watched

    def _send(self, panel: Asking, shown: Json) -> None:
        now, (sent_at, sent) = time.monotonic(), self._sent.get(panel, (0.0, {}))
        if facts(shown) == sent and now - sent_at < self.pace.repeat:
            return
        with self._lock:
            if panel not in self._panels:
                return
            self._sent[panel] = now, facts(shown)
        panel.show(shown)


def drawn(panel: Asking, answers: Answers, now: datetime) -> Json:
    """Returns the panel's state for these answers; if one is missing or can't be read, the last state with the
    problem."""
    own = [answers[one] for one in panel.questions]
    if error := next((one for one in own if isinstance(one, ScnetError)), None):
        return with_problem(panel.state, error)
    try:
        return panel.draw(own, now)
    except Exception as error:  # a fault of one panel must not end the thread that serves all panels
        log.debug("a panel could not be drawn", exc_info=error)
        return with_problem(panel.state, unreadable(error))


def unreadable(error: Exception) -> BrokerError:
    return BrokerError(f"The broker's answer could not be read ({type(error).__name__}).")
