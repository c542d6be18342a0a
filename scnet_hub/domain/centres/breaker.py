"""A circuit breaker for one centre's starts: a centre at which sessions fail to start is left out for a time, and then
tried again.

One person's failure may be their own, so the breaker opens after failures of two people in a row, or after three. Then
the centre is left out for a minute, and twice as long after each trial that fails too; after the pause one session may
go there as a trial. Pure: `now` is an argument.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

IN_A_ROW = 3
PEOPLE = 2
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(minutes=30)


@dataclass(slots=True)
class Breaker:
    """Counts `failures` in a row, of `people`; `open_until` is when the next trial may start."""

    failures: int = 0
    people: set[str] = field(default_factory=set)
    since: datetime | None = None
    why: str = ""
    open_until: datetime | None = None
    pause: timedelta = FIRST_PAUSE

    def failed(self, person: str, why: str, at: datetime) -> None:
        """Records a start that failed before the session was ready."""
        self.failures += 1
        self.people.add(person)
        self.since, self.why = self.since or at, why
        if self.open_until:  # the trial, or a start that was under way
            self.pause = min(self.pause * 2, LONGEST_PAUSE)
        if self.open_until or self.failures >= IN_A_ROW or len(self.people) >= PEOPLE:
            self.open_until = at + self.pause

    def succeeded(self) -> None:
        """Records a session that became ready, and resets all counts."""
        self.failures, self.since, self.why, self.open_until, self.pause = 0, None, "", None, FIRST_PAUSE
        self.people.clear()

    def took(self, at: datetime) -> None:
        """Records that a session goes there. While the centre is on trial, no other follows until this one is judged,
        or `pause` is over."""
        if self.open_until:
            self.open_until = at + self.pause

    def refusal(self, now: datetime) -> str:
        """Returns why no session should go there now; "" if one may."""
        if self.open_until is None or now >= self.open_until:
            return ""
        again = f"tried again at {self.open_until:%H:%M:%S} UTC"
        return f"the last {self.failures} sessions there failed to start ({self.why}); {again}"
