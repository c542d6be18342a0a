"""A circuit breaker for one centre's starts: one that takes sessions and lets them die at once is left out, and tried again.

A failure of one person may be their own doing, so it takes two people's in a row, or three. Then the centre is out for a minute,
twice as long after each trial that fails too; when that is over one session may go there as the trial. Pure: `now` is an argument.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

IN_A_ROW = 3
PEOPLE = 2
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(minutes=30)


@dataclass(slots=True)
class Breaker:
    """`failures` in a row, of `people`; `open_until` is when the next trial may go."""

    failures: int = 0
    people: set[str] = field(default_factory=set)
    since: datetime | None = None
    why: str = ""
    open_until: datetime | None = None
    pause: timedelta = FIRST_PAUSE

    def failed(self, person: str, why: str, at: datetime) -> None:
        """A start died before it was ready."""
        self.failures += 1
        self.people.add(person)
        self.since, self.why = self.since or at, why
        if self.open_until:  # the trial, or one that was under way
            self.pause = min(self.pause * 2, LONGEST_PAUSE)
        if self.open_until or self.failures >= IN_A_ROW or len(self.people) >= PEOPLE:
            self.open_until = at + self.pause

    def succeeded(self) -> None:
        """A session there was ready: all is forgotten."""
        self.failures, self.since, self.why, self.open_until, self.pause = 0, None, "", None, FIRST_PAUSE
        self.people.clear()

    def took(self, at: datetime) -> None:
        """A session goes there. While the centre is on trial, no other follows until this one is judged, or `pause`
        is over."""
        if self.open_until:
            self.open_until = at + self.pause

    def refusal(self, now: datetime) -> str:
        """Why no session should go there now; "" if one may."""
        if self.open_until is None or now >= self.open_until:
            return ""
        again = f"tried again at {self.open_until:%H:%M:%S} UTC"
        return f"the last {self.failures} sessions there failed to start ({self.why}); {again}"
