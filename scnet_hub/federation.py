"""The story: a request becomes a placement, a session, a job at a centre, a server that called home, and a charge.

Submitting writes the session and its hold before anything leaves (law 2). A session has one or more copies, each a job at a
centre; `lifecycle` says what happens to them, this carries it out. Doors call this; it knows no HTTP and no hub.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from . import accounts, charging, documents, endings, lifecycle, placement, projects, sessions, starts
from .arrivals import Arrivals
from .bookkeeping import Bookkeeping
from .centres import Centre
from .changes import Changes, within
from .continuing import Continuing
from .db import Database, Tx
from .db import sessions as stored
from .db.sessions import SessionRow
from .decision_log import FIRST, DecisionLog
from .decisions import Decisions
from .errors import CentreError, NotFound, NotStored, Refused, ScnetError, SpecError, WrongFile, plain
from .health import Asked
from .jobs import JobRequest, JobState, JobStatus
from .launches import Launches
from .leases import Leases
from .ledger import books
from .load import Load
from .mails import Mails
from .metering.pulling import Pulling
from .metrics import Metrics
from .placement import Placement, Ranked
from .pulse import Pulse, default_pool
from .reports import Reports
from .rounds import attempt
from .second_chances import SecondChances
from .settling import Settling
from .standard.centre import READ_AGAIN, CentreSpec
from .standard.federation import FederationSpec
from .stops import Stops, should_stop
from .transport import Means
from .watcher import Watcher

log = logging.getLogger(__name__)
Json = dict[str, Any]
RECOVERY = 5.0  # seconds between two looks whether a full disk has room again
DIED = (JobState.FAILED, JobState.COMPLETED, JobState.LOST)  # before it was ready: not somebody's wish
HUNG = 5.0  # seconds that a file may take
FIRST_LOOK = 10  # seconds that a start waits for a broker's first look at its centres
STOPPING_FOR = 15  # seconds that a new start waits for the earlier one of its name to be gone
LOOKS_AT_IT = (1, 4)  # at which of them its centre is asked for that one job, beside the watch


class Federation:
    """All centres behind one door. `public_url` and `call_home_url` are those of `starts.Addresses`."""

    def __init__(
        self,
        spec: FederationSpec,
        centres: Mapping[str, Centre],
        db: Database,
        *,
        call_home_url: str,
        public_url: str = "",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.spec, self.centres, self.db, self.clock = spec, dict(centres), db, clock
        self.addresses = starts.Addresses(public_url=public_url, call_home=call_home_url, idle_timeout=spec.idle.timeout)
        self.load = Load.of(centre.spec for centre in centres.values())
        self.pages = charging.Pages(centres=self.load.centres, federation=spec)
        self.changes = Changes()
        self.decisions = Decisions(db, self.centres, self.load, clock, spec)
        self.decision_log = DecisionLog(db, self.load, spec.decisions, clock)
        self.linking = accounts.Linking(db, self.decisions.centre, clock)
        self.reports = Reports(db, self.load, clock, spec)
        self.metrics = Metrics(db, self.load, clock)
        self.bookkeeping, self.mails = Bookkeeping(db, clock), Mails(db, spec.mail, clock)
        self.settling = Settling(db, spec, self.load, clock)
        self.pulse = Pulse({"threads": default_pool, "database": db.reach_writer, "database, queries": db.reach_reader})
        self.launches, self.arrivals, self.pulling = Launches(self), Arrivals(self), Pulling(self)
        self.second_chances, self.continuing, self.leases, self.stops = SecondChances(self), Continuing(self), Leases(self), Stops(self)
        for name, centre in self.centres.items():
            centre.observe = partial(self._asked, name)
        self.watchers = {name: Watcher(self, centre, self.load.centres[name]) for name, centre in self.centres.items()}
        self._tasks: set[asyncio.Task[None]] = set()
        self._applied = False

    def _asked(self, centre: str, step: Asked) -> None:
        self.metrics.asked(centre, step)
        self.load.centres[centre].health.heard(step)

    async def start(self) -> None:
        """Applies the federation's page, takes up what an earlier broker left, and begins to watch."""
        await self._apply_pages()
        live = await self.db.query(stored.live_copies)
        for row in live:
            if row.centre not in self.centres:
                raise SpecError(
                    f"Session {row.id} of {row.person} is at centre {row.centre!r}, which the federation's page no longer has.",
                    hint="Put the centre back until its sessions have ended and are charged.",
                )
            if not row.job_id:
                self.launches.begin(row.id, row.number, again=True)
        for name, watcher in self.watchers.items():
            self.own(self._keep_forwards(name, [row for row in live if row.centre == name and row.address]))
            self.own(watcher.run())
        self.own(self.pulse.run())
        self.own(self._keep_writable())
        self.own(self.second_chances.run())
        self.own(self.decision_log.run())
        self.own(self.bookkeeping.run())
        self.own(self.pulling.run())
        self.own(self.settling.run())
        self.own(self.leases.run())
        self.own(self.mails.run())
        self.own(self.decisions.forecasts.run())

    async def _apply_pages(self) -> None:
        """What the pages say of projects and accounts, written down. Where that can't be, the broker answers questions meanwhile."""
        try:
            await self.db.run(projects.apply, self.spec.project, self.clock())
            await self.db.run(accounts.apply, [centre.spec for centre in self.centres.values()], self.clock())
            self._applied = True
        except NotStored as error:
            if not self.db.trouble:
                raise
            log.warning("only questions are answered: %s %s", error, error.hint)

    async def _keep_writable(self) -> None:
        """Looks every few seconds whether there is room again, where there was none."""
        while True:
            await asyncio.sleep(RECOVERY)
            await attempt(self._write_again, what="writing to the broker's database again")

    async def _write_again(self) -> None:
        if self.db.trouble and await self.db.recover():
            log.warning("the broker's database can be written again")
        if not self._applied:
            await self._apply_pages()

    async def _keep_forwards(self, centre: str, rows: list[SessionRow]) -> None:
        """After a restart: the ways to sessions that live stand (they did, if their master lived on), others go. The way
        back to the hub is opened now, not when the first person waits for it."""
        try:
            await self.centres[centre].transport.keep([_address(row) for row in rows])
            await self.centres[centre].transport.hub_url()
        except CentreError as error:
            log.warning("%s: forwards can't be set up, will be tried again: %s", centre, error)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for centre in self.centres.values():
            await centre.transport.close()

    def own(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception():
            log.error("a task of the federation failed", exc_info=task.exception())

    def announce(self, page: CentreSpec) -> None:
        """Takes a centre's maintenance and announcements from its page as it is now; of a centre that is here."""
        if page.id in self.centres:
            told = {name: getattr(page, name) for name in READ_AGAIN}
            spec = self.centres[page.id].spec.model_copy(update=told)
            self.centres[page.id].spec = spec
            self.load.centres[page.id].announced(spec)

    # ---- starting

    async def submit(self, request: JobRequest, payload: Json) -> tuple[SessionRow, bool]:
        """The live session of this person, kind and name, or a new one: (row, True if it is new). Raises Refused."""
        if existing := await self._existing(request):
            return existing, False
        await self._first_look(request.centre)
        session_id = sessions.new_id()
        row = await self.db.run(self._begin, session_id, request, payload)
        if isinstance(row, Refused):  # not raised where it was decided: that it was refused is written down
            raise row
        if row.id == session_id:
            self.launches.begin(row.id, row.number)
        return row, row.id == session_id

    async def _first_look(self, pinned: str) -> None:
        """In the first moments of a broker no centre has been heard of: that is no reason to refuse anybody."""
        watchers = [watcher for name, watcher in self.watchers.items() if pinned in ("", name)]
        if not watchers or any(watcher.looked.is_set() for watcher in watchers):
            return
        looks = [asyncio.create_task(watcher.looked.wait()) for watcher in watchers]
        await asyncio.wait(looks, timeout=FIRST_LOOK, return_when=asyncio.FIRST_COMPLETED)
        for look in looks:
            look.cancel()

    async def _existing(self, request: JobRequest) -> SessionRow | None:
        """Its live session. One that is being stopped is waited for, so that no two of a name run at once; but not for a centre
        that can't be asked: it is set aside, and stopped when its centre is back."""
        for second in range(STOPPING_FOR):
            row = await self.db.query(stored.live_one, request.person, request.kind, request.name)
            if row is None or row.state != "stopping":
                return row
            if await self.db.run(self._set_aside, row.id):
                return None
            if second in LOOKS_AT_IT:
                await self._look_at(row)
            await within(self.changes.event(row.id), 1)
        raise Refused("The earlier session of that name is still being stopped.", hint="Try again in a few seconds.", code="stopping")

    async def _look_at(self, row: SessionRow) -> None:
        """Asks its centre for this one job, now: a person waits for its end."""
        if not row.job_id:
            return
        with contextlib.suppress(CentreError):
            status = (await self.centres[row.centre].statuses([row.job_id]))[row.job_id]
            await self.watchers[row.centre].hear(row, status)

    def _set_aside(self, tx: Tx, session_id: str) -> bool:
        rows = [row for row in stored.copies_of(tx, session_id) if row.job_live]
        away = [row for row in rows if row.unknown_since or self.load.centres[row.centre].failing_since]
        if not rows or len(away) < len(rows):
            return False
        stored.say(tx, session_id, self.clock(), f"Will be stopped when {rows[0].centre} answers again.")
        self.end_session(tx, session_id, lifecycle.ON_REQUEST)
        return True

    def _begin(self, tx: Tx, session_id: str, request: JobRequest, payload: Json) -> SessionRow | Refused:
        """Placement, quota, hold and session row in one transaction; another live one of that name wins."""
        if existing := stored.live_one(tx, request.person, request.kind, request.name):
            return existing
        decision, _ = self.decisions.decide(tx, request)
        if refused := self.refusal(tx, decision):
            return refused
        self.insert(tx, session_id, decision, payload)
        row = stored.get(tx, session_id)
        assert row is not None
        return row

    def refusal(self, tx: Tx, decision: Placement, *, instead_of: str = "") -> Refused | None:
        """Why a start as decided is refused, written to the decision log; None if it is not."""
        try:
            if decision.best is None:
                raise placement.refused(decision)
            self.decisions.check(tx, decision, instead_of=instead_of)
        except Refused as error:
            self.decision_log.refused(tx, decision, error)
            return error
        return None

    def insert(self, tx: Tx, session_id: str, decision: Placement, payload: Json, *, continues: str = "", in_line: bool = False) -> None:
        """A session as decided, with its hold and its first copy."""
        best, request, now = decision.best, decision.request, self.clock()
        assert best is not None
        project = projects.resolve(tx, request.person, request.project)
        hold = self.decisions.hold(request, best)
        books.hold(tx, project.id, session_id, hold.amount, now, hold.words, centre=best.offer.centre)
        stored.insert(
            tx, id=session_id, person=request.person, project=project.id, kind=request.kind, name=request.name, state="intent",
            live=True, request=sessions.request_document(request), placement=documents.placement(decision), payload=payload,
            why=decision.reason, end_reason="", created_at=now, held=hold.amount.micros, leased_until=hold.leased_until,
            continues=continues, in_line=in_line,
            **self._copy(tx, request.person, best, FIRST),
        )  # fmt: skip
        stored.say(tx, session_id, now, decision.reason)
        self.decision_log.took(tx, session_id, 1, decision, best, FIRST)

    def add_copy(self, tx: Tx, session: SessionRow, number: int, decision: Placement, place: Ranked, cause: str) -> None:
        stored.add_copy(tx, session.id, number, **self._copy(tx, session.person, place, cause))
        self.decision_log.took(tx, session.id, number, decision, place, cause)

    def _copy(self, tx: Tx, person: str, place: Ranked, cause: str) -> Json:
        nonce, hashed = sessions.new_nonce()
        self.load.centres[place.offer.centre].breaker.took(self.clock())
        return {
            "cause": cause, "asked_at": self.clock(), "centre": place.offer.centre, "partition": place.offer.partition, "secret": nonce,
            "nonce": hashed, "account": self.decisions.account(tx, place.offer.centre, person),
        }  # fmt: skip

    # ---- what becomes of a copy

    def fold(self, tx: Tx, session_id: str) -> None:
        """Makes a live session be where its copies say."""
        rows = stored.copies_of(tx, session_id)
        if rows and rows[0].live:
            stored.change(tx, session_id, lead=lifecycle.lead(rows).number, state=lifecycle.state_of(rows))

    async def heard(self, row: SessionRow, status: JobStatus, tail: str) -> SessionRow | None:
        """Takes in a centre's word on the copy as it is now; the row as it was, if that changed anything."""
        before, further = await self.db.run(self._heard, row, status, tail)
        if before:
            self.changes.tell(row.id)
        if further:
            self.launches.begin(row.id, further)
        return before

    def _heard(self, tx: Tx, row: SessionRow, status: JobStatus, tail: str) -> tuple[SessionRow | None, int]:
        fresh = stored.get(tx, row.id, row.number)
        status = replace(status, node=plain(status.node, 200), reason=plain(status.reason))
        if fresh is None or not fresh.job_live or not (change := lifecycle.after(fresh, status)):
            return None, 0
        ended = change.get("job_live") is False
        if ended and not fresh.job_cancelled_at:
            change["job_end"] += tail
        stored.change(tx, row.id, row.number, **change)
        if said := lifecycle.event_line(fresh, change):
            stored.say(tx, row.id, self.clock(), said)
        further = self.over(tx, fresh, change.get("job_end", fresh.job_end), status) if ended else 0
        self.fold(tx, row.id)
        return fresh, further

    def over(self, tx: Tx, row: SessionRow, why: str, status: JobStatus) -> int:
        """One copy of a session ended: the session goes on with the others, begins another, or ends. The number to launch, or 0."""
        rows = stored.copies_of(tx, row.id)
        died = row.kind == "lab" and not row.ready_at and not row.job_cancelled_at and status.state in DIED
        if died:
            self._start_died(row, why.splitlines()[0].rstrip("."))
        if not rows[0].live or (any(one.job_live for one in rows) and not (row.ready_at and row.leads)):
            return 0
        if died and not rows[0].cancelled_at:
            first = why.splitlines()[0].rstrip(".")
            if number := self.second_chances.next_place(tx, row.id, "failed", f"Its start at {row.centre} died ({first})"):
                return number
        self.end_session(tx, row.id, why)
        return 0

    def _start_died(self, row: SessionRow, why: str) -> None:
        known, now = self.load.centres[row.centre], self.clock()
        known.breaker.failed(row.person, why, now)
        known.health.heard(Asked(hop="starts", at=now, error=CentreError(f"a session died at its start: {why}")))

    def start_worked(self, centre: str) -> None:
        known = self.load.centres[centre]
        known.breaker.succeeded()
        known.health.heard(Asked(hop="starts", at=self.clock()))

    def end_session(self, tx: Tx, session_id: str, why: str, *, next_in_line: bool = True) -> None:
        """The session is over for its person; what of it is still at a centre is stopped and settled by and by."""
        rows, now = stored.copies_of(tx, session_id), self.clock()
        leading = lifecycle.lead(rows)
        why = rows[0].end_reason if rows[0].cancelled_at and rows[0].end_reason else why
        stored.change(tx, session_id, state="ended", live=False, lead=leading.number, ended_at=now, end_reason=why, payload={})
        stored.say(tx, session_id, now, why)
        for row in rows:
            if row.job_live and not row.job_cancelled_at:
                should_stop(tx, row, why, now)
        if leading.used is not None:
            charging.ended(tx, leading, self.pages, now)
        if next_in_line:
            self.continuing.inherit(tx, session_id)

    # ---- ending

    async def cancel(self, row: SessionRow, why: str = lifecycle.ON_REQUEST) -> SessionRow:
        """Stops a session: the wish is written first, then carried out until its centres confirm the end."""
        return await self.stops.cancel(row, why)

    async def scrub(self, row: SessionRow) -> None:
        """Empties the copy's start file, with its token, at the centre, and closes the way to its port; best effort: the token is
        revoked by the hub as well."""
        centre = self.centres[row.centre]
        fresh = await self.db.run(stored.get, row.id, row.number)
        row = fresh or row  # it may have called home after `row` was read
        copies = await self.db.run(stored.live_copies, centre=row.centre)
        others = {one.address for one in copies if (one.id, one.number) != (row.id, row.number)}
        with contextlib.suppress(CentreError):
            if row.address and row.address not in others:  # a session may have named another's
                await centre.transport.unforward(*_address(row))
        with contextlib.suppress(CentreError):
            await centre.put(starts.path(centre.spec, row, "start.json"), b"{}", account=row.account)

    # ---- telling

    async def change(self, row: SessionRow, change: Json, said: str = "") -> None:
        """Sets columns of the session or of this copy."""
        await self.db.run(self._change, row, change, said)
        self.changes.tell(row.id)

    def _change(self, tx: Tx, row: SessionRow, change: Json, said: str) -> None:
        if change:
            stored.change(tx, row.id, row.number, **change)
        if said:
            stored.say(tx, row.id, self.clock(), said)

    async def last_lines(self, row: SessionRow, lines: int = 8) -> str:
        """The end of a job's output, as a tail for a sentence; "" if it can't be had."""
        try:
            text = await self.tail(row)
        except WrongFile as error:
            text = f"(not read: {error})"
        kept = [line for line in text.splitlines() if line.strip()][-lines:]
        return plain(endings.TAIL + "\n".join(kept), 5000) if kept else ""

    async def tail(self, row: SessionRow, size: int = 4000) -> str:
        """The last `size` bytes of a job's output; "" if there is none, or it can't be had. Raises WrongFile for one that the job replaced
        by something else than a regular file."""
        try:
            centre = self.centres[row.centre]
            return await centre.tail(starts.path(centre.spec, row, "log"), account=row.account, size=size)
        except WrongFile:
            raise
        except CentreError:
            return ""

    def hung_files(self) -> list[str]:
        """A sentence for each centre whose file system on this machine does not answer."""
        stuck = {name: centre.transport.stuck() for name, centre in self.centres.items()}
        return [f"{name}: its file system has not answered for {seconds:.0f} s." for name, seconds in stuck.items() if seconds >= HUNG]

    async def get(self, session_id: str) -> SessionRow:
        row = await self.db.query(stored.get, session_id)
        if row is None:
            raise NotFound(f"There is no session {session_id!r}.", hint="`scnet sessions` lists yours.", code="unknown-session")
        return row

    async def wait(self, session_id: str, seen: int, seconds: float) -> SessionRow:
        """The session as soon as its version is not `seen`, at the latest after so many seconds."""
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            changed = self.changes.event(session_id)
            row = await self.get(session_id)
            left = deadline - asyncio.get_running_loop().time()
            if row.version != seen or left <= 0:
                return row
            await within(changed, left)


def _address(row: SessionRow) -> tuple[str, int]:
    host, _, port = row.address.rpartition(":")
    return host, int(port)


def centres_of(specs: list[CentreSpec], means: Means | None = None) -> dict[str, Centre]:
    """Live centres of these specs. Raises SpecError for two of one id."""
    centres = {spec.id: Centre.of(spec, means) for spec in specs}
    if len(centres) != len(specs):
        raise ScnetError("two centres have the same id", code="bad-spec")
    return centres
