"""Remembers the last failure of something outside (a login, an SSH master, the way back), and when to try again.

The pause doubles with each failure up to a limit. The pause is jittered, so that many callers do not return at the same
moment.
"""

from __future__ import annotations

import random
from typing import Generic, TypeVar

E = TypeVar("E", bound=Exception)


class Backoff(Generic[E]):
    """Holds the last error and the pause after it. `first` and `longest` are seconds; `now` in the methods is a
    monotonic clock's time in seconds."""

    def __init__(self, first: float = 1.0, longest: float = 30.0) -> None:
        self.first, self.longest = first, longest
        self.error: E | None = None
        self._pause, self._until = first, 0.0

    def holds(self, now: float) -> E | None:
        """Returns the last error while it is too early to try again."""
        return self.error if now < self._until else None

    def failed(self, error: E, now: float) -> None:
        self.error = error
        if now < self._until:  # several callers tried at once: that is one failure
            return
        self._until = now + self._pause * random.uniform(0.8, 1.2)
        self._pause = min(self._pause * 2, self.longest)

    def worked(self) -> None:
        self.error, self._pause, self._until = None, self.first, 0.0
