"""Keeps the board of offers up to date with the watchers' news."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta

from ...domain.centres.state import CentreStates
from ...domain.placement.board import Board
from ...domain.placement.placement import Shape
from ...domain.sessions.records import NewCopy


class LiveBoard:
    """The current offers of all centres, for the one thread that decides. News is added to the board before each
    decision."""

    def __init__(self, states: CentreStates, board: Board) -> None:
        self.states, self.board = states, board
        self._pending: dict[str, Mapping[str, tuple[Shape, ...]]] = {}
        self._longest = timedelta()

    def renew(self, newest: Callable[[datetime], Iterable[NewCopy]], now: datetime) -> Board:
        """Updates the board. `newest` reads our own live copies that were not submitted before a given time; older
        copies are in each snapshot that still counts."""
        centres, changed = self.states.centres, self._news()
        self._longest = max([self._longest, *(centres[name].max_age for name in changed)])
        copies: defaultdict[str, list[NewCopy]] = defaultdict(list)
        for copy in newest(now - self._longest):
            copies[copy.centre].append(copy)
        pending = {
            name: found for name, there in copies.items() if name in centres and (found := centres[name].pending(there))
        }
        changed |= {
            name for name in pending.keys() | self._pending.keys() if pending.get(name) != self._pending.get(name)
        }
        self._pending = pending
        for name in changed:
            self.board.put(centres[name].offers(copies.get(name, ())))
        return self.board

    def _news(self) -> set[str]:
        """Takes out the centres with news, one by one, because other threads write meanwhile."""
        found = set()
        while self.states.news:
            found.add(self.states.news.popitem()[0])
        return found
