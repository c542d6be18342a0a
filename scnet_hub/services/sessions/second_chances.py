"""Gives second chances: a start that stalls, fails or is refused continues automatically at another place.

Refused, or centre unreachable: the copy is withdrawn and another takes its place. Failed before it was ready: the same,
and the centre's breaker counts the failure. Stalled: a further copy is submitted where it should start now or in a hole
of the queue, in the end to another queue, beside the copy that waits; the first to call home wins. A further copy is
work for two centres, so it has a budget. Only a Lab gets one, because a person waits for its start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby

from ...adapters.db.database import Tx
from ...adapters.db.queries import sessions as session_rows
from ...display.session_states import INTENT, QUEUED, STARTING, SUBMITTED
from ...domain.placement import hedging
from ...domain.placement.placement import Placement, Ranked
from ...domain.sessions import names
from ...domain.sessions.records import Copy, Session, SessionCopy
from ...domain.standard.federation import SecondChanceSpec
from ...errors import Refused
from ...units import Amount, format_duration
from ..accounting import books
from ..periodic import run_every
from ..placement.placing import Placing
from ..runtime import Runtime
from .copies import Copies, refresh, withdraw

LOOK = 1.0  # seconds between looks at the waiting sessions
AGAIN = 4  # a session for which no better place was found is looked at again after 1/AGAIN of the patience
AT_ONCE = 10  # sessions for which a place is sought in one look


class SecondChances:
    def __init__(self, runtime: Runtime, placing: Placing, copies: Copies) -> None:
        self.runtime, self.placing, self.copies = runtime, placing, copies
        self._next: dict[str, datetime] = {}

    @property
    def spec(self) -> SecondChanceSpec:
        return self.runtime.spec.second_chance

    async def run(self) -> None:
        await asyncio.sleep(LOOK)
        await run_every(self.look, LOOK, what="looking for starts that stall")

    async def look(self) -> None:
        """Starts a further copy for each session that has waited for longer than the patience."""
        now = self.runtime.clock()
        waiting = await self.runtime.db.query(_waiting)
        stalled = [rows[0].session.id for rows in waiting if waited(rows, self.spec, now)]
        self._next = {session_id: at for session_id in stalled if (at := self._next.get(session_id))}
        due = [session_id for session_id in stalled if now >= self._next.get(session_id, now)][:AT_ONCE]
        for session_id in due:
            self._next[session_id] = now + timedelta(seconds=self.spec.patience / AGAIN)
            await self._further(session_id)

    async def _further(self, session_id: str) -> None:
        number = await self.runtime.db.run(self._beside, session_id)
        if number:
            self.runtime.signals.changes.notify(session_id)
            self.runtime.signals.launch(session_id, number, False)

    def _beside(self, tx: Tx, session_id: str) -> int:
        """Returns the number of the further copy; 0 if there is no place or no budget for it."""
        now = self.runtime.clock()
        rows = session_rows.copies_of(tx, session_id)
        if not waited(rows, self.spec, now) or not affordable(
            session_rows.asked_since(tx, now - timedelta(hours=1)), self.spec, len(self.runtime.centres)
        ):
            return 0
        session, first = rows[0]
        decision = self._decide(tx, session)
        anywhere = hedging.anywhere(self.spec, asked_at=first.asked_at, pinned=pinned(session), now=now)
        place = hedging.where(untried(decision, rows), anywhere=anywhere) if decision else None
        if decision is None or place is None:
            return 0
        leading = next(row.copy for row in rows if row.leads)
        waits = format_duration(now - leading.asked_at)
        there = f"{place.offer.title}, where it should start {place.wait.words}"
        said = f"{stalled_words(leading)} at {leading.centre} for {waits}: also asked {there}."
        return self._add(tx, rows, decision, place, "stalled", said)

    async def instead(self, copy: Copy, cause: str, why: str) -> bool:
        """Withdraws a copy that its centre certainly doesn't have, and adds a copy at the next best place; False if
        there is none."""
        number = await self.runtime.db.run(self._instead, copy, cause, why)
        if number:
            self.runtime.signals.changes.notify(copy.session)
            self.runtime.signals.launch(copy.session, number, False)
        return bool(number)

    def _instead(self, tx: Tx, copy: Copy, cause: str, why: str) -> int:
        if number := self.next_place(tx, copy.session, cause, why):
            withdraw(tx, copy, why, self.runtime.clock())
        return number

    def next_place(self, tx: Tx, session_id: str, cause: str, why: str) -> int:
        """Adds a copy at the best place that was not tried yet. Returns its number; 0 if there is no such place, or
        after enough tries."""
        rows = session_rows.copies_of(tx, session_id)
        session, tries = rows[0].session, sum(copy.cause != "stalled" for _, copy in rows)
        if not session.live or session.ready_at or session.cancelled_at or tries >= self.spec.tries:
            return 0
        decision = self._decide(tx, session)
        place = next(iter(untried(decision, rows)), None) if decision else None
        return (
            self._add(tx, rows, decision, place, cause, f"{why}; moved to {place.offer.title}.")
            if decision and place
            else 0
        )

    def _decide(self, tx: Tx, session: Session) -> Placement | None:
        try:
            return self.placing.decide(tx, names.request_of(session.request))[0]
        except Refused:  # the person is no longer in the project
            return None

    def _add(
        self, tx: Tx, rows: Sequence[SessionCopy], decision: Placement, place: Ranked, cause: str, said: str
    ) -> int:
        """Adds a copy and holds the cost of the most expensive copy, of its lease if it has one: only one copy is
        charged."""
        session = rows[0].session
        number = rows[-1].copy.number + 1
        try:
            hold = self.placing.hold(decision.request, place)
            more = Amount(max(0, hold.amount.micros - session.held))
            books.hold(tx, session.project, session.id, more, self.runtime.clock(), said, centre=place.offer.centre)
        except Refused:
            return 0
        self.copies.add(tx, session, number, decision, place, cause)
        why = session.why if cause == "stalled" else said
        session_rows.update(tx, session.id, held=session.held + more.micros, why=why)
        session_rows.add_event(tx, session.id, self.runtime.clock(), said)
        refresh(tx, session.id)
        return number


def untried(decision: Placement, rows: Sequence[SessionCopy]) -> list[Ranked]:
    """Returns the places where the session has not been submitted yet, best first."""
    tried = {(copy.centre, copy.partition) for _, copy in rows}
    return [one for one in decision.ranked if (one.offer.centre, one.offer.partition) not in tried]


def _waiting(tx: Tx) -> list[list[SessionCopy]]:
    """Returns the Labs that were never ready, each as the list of its copies."""
    return [list(rows) for _, rows in groupby(session_rows.starting(tx, "lab"), key=lambda row: row.session.id)]


def waited(rows: Sequence[SessionCopy], spec: SecondChanceSpec, now: datetime) -> bool:
    """Tells whether a session has waited long enough for a further copy. A running copy has longer to call home."""
    session, newest = rows[0].session, rows[-1].copy
    live = [copy for _, copy in rows if copy.live]
    if not session.live or session.ready_at or session.cancelled_at:
        return False
    started = [copy.started_at for copy in live if copy.started_at and not copy.unknown_since]
    runs_since = max(started, default=None)
    return hedging.due(
        spec, live=len(live), asked_at=newest.asked_at, runs_since=runs_since, pinned=pinned(session), now=now
    )


def pinned(session: Session) -> bool:
    """Tells whether its owner chose the centre."""
    return bool(session.request["centre"])


def affordable(asked: Mapping[str, int], spec: SecondChanceSpec, centres: int) -> bool:
    """Tells whether one more further copy stays within the hour's budget, given the copies of the last hour by
    cause."""
    further = asked.get("stalled", 0)
    return hedging.affordable(spec, asked=sum(asked.values()) - further, further=further, centres=centres)


def stalled_words(copy: Copy) -> str:
    """Returns, in words, the state in which a copy stalls."""
    if copy.unknown_since:
        return "No news of it"
    return "Running without calling home" if copy.state == STARTING else "Not running"


def grown_words(copy: Copy) -> str:
    """Returns why a copy lost against another, from its centre's last answer."""
    if copy.unknown_since or copy.state == INTENT:
        return f"{copy.centre} did not answer"
    if copy.place_in_queue:
        return f"{copy.centre}'s queue grew: it stands at number {copy.place_in_queue} there"
    return (
        f"{copy.centre}'s queue grew"
        if copy.state in (SUBMITTED, QUEUED)
        else f"its start at {copy.centre} takes too long"
    )
