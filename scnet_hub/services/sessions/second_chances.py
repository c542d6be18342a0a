"""Gives second chances: a start that stalls, fails or is refused continues automatically at another place.

Refused, or centre unreachable: the copy is withdrawn and another takes its place. Failed before it was ready: the same,
and the centre's breaker counts the failure. Stalled: a further copy is submitted where it should start now or in a hole
of the queue, in the end to another queue, beside the copy that waits; the first to call home wins. A further copy is
work for two centres, so it has a budget, of which a part is for Labs, because a person waits for their start. A batch
job or a Dask worker gets one only while its copies wait, and only the first of them to start begins (`first_start`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby

from ...adapters.db.database import Tx
from ...adapters.db.queries import sessions as session_rows
from ...display.session_states import INTENT, QUEUED, STARTING, SUBMITTED
from ...domain.placement import hedging
from ...domain.placement.placement import Placement, Ranked
from ...domain.sessions import movable, names
from ...domain.sessions.records import Copy, Session, SessionCopy
from ...domain.standard.federation import SecondChanceSpec
from ...errors import Refused
from ...units import Amount, format_duration
from ..accounting import books
from ..periodic import run_every, run_once
from ..placement.placing import Placing
from ..runtime import Runtime
from . import first_start
from .copies import Copies, refresh, withdraw

LOOK = 1.0  # seconds between looks at the waiting sessions
AGAIN = 4  # a session for which no better place was found is looked at again after 1/AGAIN of the patience
AT_ONCE = 10  # sessions of a kind for which a place is sought in one look
NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Further:
    """The place for a further copy of a session with the copies `rows`, as decided, and the line for its log."""

    rows: Sequence[SessionCopy]
    decision: Placement
    place: Ranked
    said: str


class SecondChances:
    def __init__(self, runtime: Runtime, placing: Placing, copies: Copies, first_start: first_start.FirstStart) -> None:
        self.runtime, self.placing, self.copies, self.first_start = runtime, placing, copies, first_start
        self._next: dict[str, datetime] = {}
        self._jobs: list[str] = []  # those that wait, as of `_listed`
        self._listed = NEVER
        self._jobs_next: dict[str, datetime] = {}
        self._under_way: set[str] = set()

    @property
    def spec(self) -> SecondChanceSpec:
        return self.runtime.spec.second_chance

    async def run(self) -> None:
        await asyncio.sleep(LOOK)
        await run_every(self.look, LOOK, what="looking for starts that stall")

    async def look(self) -> None:
        """Starts a further copy for each session that has waited for longer than the patience, Labs first."""
        now = self.runtime.clock()
        waiting = await self.runtime.db.query(_waiting)
        stalled = [rows[0].session.id for rows in waiting if waited(rows, self.spec, now)]
        for session_id in self._due(self._next, stalled, self.spec.patience):
            await self._further(session_id)
        again = timedelta(seconds=self.spec.job_patience / AGAIN)
        if now >= self._listed + again:  # thousands may wait: not at each look
            self._listed = now
            self._jobs = await self.runtime.db.query(session_rows.waiting_jobs, now - again * AGAIN)
        for session_id in self._due(self._jobs_next, self._jobs, self.spec.job_patience):
            if session_id not in self._under_way:  # a centre that hangs must not delay the others
                self._under_way.add(session_id)
                self.runtime.tasks.own(self._look_at_job(session_id))

    async def _look_at_job(self, session_id: str) -> None:
        try:
            await run_once(partial(self._further_job, session_id), what="looking for a second place for a job")
        finally:
            self._under_way.discard(session_id)

    def _due(self, looked: dict[str, datetime], stalled: Sequence[str], patience: float) -> list[str]:
        """Returns the sessions to look at now, those first that have waited longest for a look. `looked`: when each is
        due again."""
        now = self.runtime.clock()
        for gone in looked.keys() - set(stalled):
            del looked[gone]
        due = sorted((one for one in stalled if looked.get(one, NEVER) <= now), key=lambda one: looked.get(one, NEVER))
        for session_id in due[:AT_ONCE]:
            looked[session_id] = now + timedelta(seconds=patience / AGAIN)
        return due[:AT_ONCE]

    async def _further(self, session_id: str) -> None:
        number = await self.runtime.db.run(self._beside, session_id)
        if number:
            self.runtime.signals.changes.notify(session_id)
            self.runtime.signals.launch(session_id, number, False)

    async def _further_job(self, session_id: str) -> None:
        """Does the same for a job, once all its copies certainly ask before their program begins."""
        further = await self.runtime.db.run(self._place_beside, session_id)
        if further and await self.first_start.told([copy for _, copy in further.rows if copy.live]):
            await self._further(session_id)

    def _beside(self, tx: Tx, session_id: str) -> int:
        """Returns the number of the further copy; 0 if there is no place or no budget for it."""
        further = self._place_beside(tx, session_id)
        return self._add(tx, further.rows, further.decision, further.place, "stalled", further.said) if further else 0

    def _place_beside(self, tx: Tx, session_id: str) -> Further | None:
        now = self.runtime.clock()
        rows = session_rows.copies_of(tx, session_id)
        asked = session_rows.asked_since(tx, now - timedelta(hours=1))
        if not waited(rows, self.spec, now) or not affordable(
            asked, self.spec, len(self.runtime.centres), lab=rows[0].session.kind == "lab"
        ):
            return None
        session, first = rows[0]
        decision = self._decide(tx, session, movable.where(session, first.centre))
        job = session.kind != "lab"
        anywhere = hedging.anywhere(self.spec, asked_at=first.asked_at, pinned=pinned(rows), now=now, job=job)
        place = hedging.where(self._able(tx, decision, rows), anywhere=anywhere) if decision else None
        if decision is None or place is None:
            return None
        leading = next(row.copy for row in rows if row.leads)
        waits = format_duration(now - leading.asked_at)
        there = f"{place.offer.title}, where it should start {place.wait.words}"
        said = f"{stalled_words(leading)} at {leading.centre} for {waits}: also asked {there}."
        return Further(rows, decision, place, said)

    def _able(self, tx: Tx, decision: Placement, rows: Sequence[SessionCopy]) -> list[Ranked]:
        """Returns the untried places at which a further copy can ask whether it is the first. If a copy that waits
        could not ask, there is no such place."""
        places = untried(decision, rows)
        if rows[0].session.kind == "lab":
            return places
        able = first_start.callers(tx)
        asks = all(copy.centre in able for _, copy in rows if copy.live)
        return [one for one in places if asks and one.offer.centre in able]

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
        if session.kind != "lab" and cause != "failed" and sum(copy.live for _, copy in rows) > 1:
            return 0  # of a job, another copy waits; a further one needs `_further_job`
        pin = movable.ANYWHERE if session.request.get("second_chance") == "yes" else session.request["centre"]
        decision = self._decide(tx, session, pin)
        place = next(iter(untried(decision, rows)), None) if decision else None
        return (
            self._add(tx, rows, decision, place, cause, f"{why}; moved to {place.offer.title}.")
            if decision and place
            else 0
        )

    def _decide(self, tx: Tx, session: Session, centre: str | None) -> Placement | None:
        """Returns where the session could go besides, at that centre or at any (""); None: nowhere."""
        if centre is None:
            return None
        try:
            return self.placing.decide(tx, replace(names.request_of(session.request), centre=centre))[0]
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
    """Tells whether a session has waited long enough for a further copy. A Lab's running copy has longer to call home;
    any other session's copies must all wait in their queues."""
    session, newest = rows[0].session, rows[-1].copy
    live = [copy for _, copy in rows if copy.live]
    if not session.live or session.ready_at or session.cancelled_at:
        return False
    if session.kind != "lab" and not all(first_start.can_be_told(copy) for copy in live):
        return False
    started = [copy.started_at for copy in live if copy.started_at and not copy.unknown_since]
    runs_since = max(started, default=None)
    return hedging.due(
        spec,
        live=len(live),
        asked_at=newest.asked_at,
        runs_since=runs_since,
        pinned=pinned(rows),
        now=now,
        job=session.kind != "lab",
    )


def pinned(rows: Sequence[SessionCopy]) -> bool:
    """Tells whether the session stays at its centre, where only another partition could help."""
    return bool(movable.where(rows[0].session, rows[0].copy.centre))


def affordable(asked: Mapping[str, int], spec: SecondChanceSpec, centres: int, *, lab: bool = True) -> bool:
    """Tells whether one more further copy, of a Lab or of a job, stays within the hour's budget, given the copies of
    the last hour by cause."""
    further = asked.get("stalled", 0)
    first = sum(asked.values()) - further
    return hedging.affordable(spec, asked=first, further=further, centres=centres, waits=lab)


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
