"""One daemon thread per kernel that asks the broker on behalf of all panels, and only while somebody looks.

It asks every few seconds while something changes and every half minute when all is calm; after an error it backs off.
A thread, not a task on the kernel's loop: a long-running cell blocks that loop, not this. It knows nothing of widgets.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ...errors import BrokerError, ScnetError
from ..rest import Client
from .state import facts, state, with_problem

Json = dict[str, Any]
Listener = Callable[[Json], None]


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between questions. `repeat`: an unchanged state is sent again after so long, to say it still holds;
    `patience`: nobody has looked for so long means that nobody looks."""

    fast: float = 3.0
    steady: float = 30.0
    longest: float = 120.0
    repeat: float = 60.0
    patience: float = 1800.0

    def pause(self, *, moving: bool, failures: int) -> float:
        """The pause before the next question, without jitter."""
        if failures:
            return min(self.longest, self.fast * 2 ** min(failures - 1, 10))
        return self.fast if moving else self.steady


def ask(client: Client) -> Json:
    """The broker's three answers as one state, dated now."""
    centres, sessions, balance = client.centres(), client.sessions(all=True), client.balance()
    return state(centres, sessions, balance, datetime.now(UTC))


class Poller:
    """Shares one question between all listeners; its thread lives while at least one has been watched lately."""

    def __init__(self, question: Callable[[], Json], pace: Pace = Pace()) -> None:
        self.question, self.pace = question, pace
        self.latest: Json = state()
        self.asked = 0
        self._lock = threading.Lock()
        self._listeners: dict[Listener, float] = {}
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._sent: Json = {}
        self._sent_at = 0.0

    @property
    def running(self) -> bool:
        return self._thread is not None

    def watch(self, listener: Listener) -> None:
        """Counts `listener` as looked at from now on, and starts to ask if nobody was before."""
        with self._lock:
            self._listeners[listener] = time.monotonic()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="scnet-panels", daemon=True)
                self._thread.start()

    def leave(self, listener: Listener) -> None:
        with self._lock:
            self._listeners.pop(listener, None)
            if not self._listeners:
                self._wake.set()

    def soon(self) -> None:
        """Asks again at once: something was just done."""
        self._wake.set()

    def refresh(self) -> Json:
        """Asks now, in the caller's thread; errors become the state's `problem`. Returns the new state."""
        self.asked += 1
        try:
            self.latest = self.question()
        except ScnetError as error:
            self.latest = with_problem(self.latest, error)
        except Exception as error:  # an answer of another shape: say so, don't end the thread
            self.latest = with_problem(self.latest, BrokerError(f"The broker's answer could not be read ({type(error).__name__})."))
        return self.latest

    def _run(self) -> None:
        failures = 0
        while self._watched():
            shown = self.refresh()
            failures = failures + 1 if shown["problem"] else 0
            self._send(shown)
            pause = self.pace.pause(moving=shown["moving"], failures=failures) * random.uniform(0.85, 1.15)
            self._wake.wait(pause)
            self._wake.clear()

    def _watched(self) -> list[Listener]:
        """Those watched lately; with none, this thread's end is decided under the lock."""
        with self._lock:
            oldest = time.monotonic() - self.pace.patience
            watched = [listener for listener, at in self._listeners.items() if at >= oldest]
            if not watched:
                self._thread = None
            return watched

    def _send(self, shown: Json) -> None:
        now = time.monotonic()
        if facts(shown) == self._sent and now - self._sent_at < self.pace.repeat:
            return
        self._sent, self._sent_at = facts(shown), now
        for listener in list(self._listeners):
            listener(shown)
