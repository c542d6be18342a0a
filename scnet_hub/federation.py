"""The story: a request becomes a placement, a session, a job at a centre, a server that called home, and a charge.

Submitting writes the session and its hold before anything leaves (law 2); launching is repeatable, because the job's
name is the session's id and is looked up before any retry. Doors call this; it knows no HTTP and no hub.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from . import accounts, documents, identity, placement, projects, sessions, starts
from .centres import Centre
from .changes import Changes, within
from .db import Database, Tx
from .db import sessions as stored
from .db.accounts import AccountRow
from .db.sessions import SessionRow
from .errors import CentreError, NotFound, Refused, Rejected, ScnetError, SpecError, Unreachable, plain
from .health import Asked
from .jobs import JobRequest, JobStatus
from .ledger import books
from .load import Load
from .metrics import Metrics
from .placement import Placement
from .reports import Reports
from .standard.centre import CentreSpec
from .standard.federation import FederationSpec
from .transport import Means
from .units import Amount
from .watcher import Watcher

log = logging.getLogger(__name__)
Json = dict[str, Any]
TRIES = 3  # centres that are asked before a request is given up as rejected everywhere


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
        self.changes = Changes()
        self.reports = Reports(db, self.load, clock)
        self.metrics = Metrics(db, self.load, clock)
        for name, centre in self.centres.items():
            centre.observe = partial(self._asked, name)
        self.watchers = {name: Watcher(self, centre, self.load.centres[name]) for name, centre in self.centres.items()}
        self._tasks: set[asyncio.Task[None]] = set()
        self._launching: set[str] = set()

    def _asked(self, centre: str, step: Asked) -> None:
        self.metrics.asked(centre, step)
        self.load.centres[centre].health.heard(step)

    async def start(self) -> None:
        """Applies the federation's page, takes up what an earlier broker left, and begins to watch."""
        specs = [centre.spec for centre in self.centres.values()]
        await self.db.run(projects.apply, self.spec.project, self.clock())
        await self.db.run(accounts.apply, specs, self.clock())
        live = await self.db.run(stored.live)
        for row in live:
            if row.centre not in self.centres:
                raise SpecError(
                    f"Session {row.id} of {row.person} is at centre {row.centre!r}, which the federation's page no longer has.",
                    hint="Put the centre back until its sessions have ended and are charged.",
                )
            if not row.job_id:
                self._launch(row.id, again=True)
        for name, watcher in self.watchers.items():
            self.own(self._keep_forwards(name, [row for row in live if row.centre == name and row.address]))
            self.own(watcher.run())

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
            told = {"maintenance": page.maintenance, "announcement": page.announcement}
            spec = self.centres[page.id].spec.model_copy(update=told)
            self.centres[page.id].spec = self.load.centres[page.id].spec = spec

    # ---- deciding

    async def place(self, request: JobRequest) -> tuple[Placement, Amount]:
        """Where `request` would go now, and what its project has available. Raises NotEntitled."""
        return await self.db.run(self._decide, request)

    async def refusal(self, decision: Placement) -> Refused | None:
        """Why a start would be refused although a centre fits: over quota or over budget; None if it would not."""
        if decision.best is None:
            return None
        try:
            await self.db.run(self._check, decision)
        except Refused as error:
            return error
        return None

    def _check(self, tx: Tx, decision: Placement) -> None:
        best = decision.best
        assert best is not None
        projects.check_quota(tx, projects.resolve(tx, decision.request.person, decision.request.project), decision.request)
        self._afford(tx, decision.request.project, best.cost, best.cost_per_hour)

    async def place_for_nobody(self, request: JobRequest) -> Placement:
        """The same for an operator's question, which no project pays for and which needs no account."""
        return await self.db.run(self._ranked, request, {})

    def _decide(self, tx: Tx, request: JobRequest) -> tuple[Placement, Amount]:
        """In the transaction that acts on it, so that each of a class that presses Start at once sees those before it."""
        project = projects.resolve(tx, request.person, request.project)
        refusals = accounts.refusals(tx, [centre.spec for centre in self.centres.values()], request.person)
        return self._ranked(tx, replace(request, project=project.id), refusals), books.balance(tx, project.id).available

    def _ranked(self, tx: Tx, request: JobRequest, refused: Mapping[str, str]) -> Placement:
        if request.centre:
            self.centre(request.centre)
        now = self.clock()
        return placement.place(request, self.load.offers(stored.live(tx), now, refused), now=now)

    def centre(self, centre: str) -> Centre:
        """The centre of that id. Raises NotFound."""
        if centre not in self.centres:
            raise NotFound(
                f"There is no centre {centre!r} in this federation.", hint=f"Centres: {', '.join(self.centres)}.", code="unknown-centre"
            )
        return self.centres[centre]

    # ---- accounts

    async def link(self, person: str, centre: str, account: str) -> str:
        """Begins the proof that `account` at that centre is this person's; the command that they run there."""
        spec = self.centre(centre).spec
        word = await self.db.run(accounts.ask, spec, person, account, self.clock())
        return f"umask 077; echo {word} > {self._proof_file(spec, account)}"

    async def prove(self, person: str, centre: str) -> AccountRow:
        """Looks for the word at the centre, as that account; links it. Raises Refused, CentreError."""
        live = self.centre(centre)
        proof = await self.db.run(accounts.asked, live.spec, person, self.clock())
        found = await live.tail(self._proof_file(live.spec, proof.account), account=proof.account, size=200)
        return await self.db.run(accounts.prove, live.spec, proof, found, self.clock())

    async def unlink(self, person: str, centre: str) -> AccountRow:
        return await self.db.run(accounts.unlink, self.centre(centre).spec, person, self.clock())

    def _proof_file(self, spec: CentreSpec, account: str) -> str:
        """Over SSH in the home that the centre's system knows: where sessions' homes lie, anybody may make a folder of that name."""
        home = "~" if spec.transport.kind == "ssh" else starts.home(spec, account)
        return f"{home}/{accounts.PROOF_FILE}"

    # ---- starting

    async def submit(self, request: JobRequest, payload: Json) -> tuple[SessionRow, bool]:
        """The live session of this person, kind and name, or a new one: (row, True if it is new). Raises Refused."""
        if existing := await self._existing(request):
            return existing, False
        session_id = sessions.new_id()
        nonce, hashed = sessions.new_nonce()
        row = await self.db.run(self._begin, session_id, request, {**payload, "nonce": nonce}, hashed)
        if row.id == session_id:
            self._launch(row.id)
        return row, row.id == session_id

    async def _existing(self, request: JobRequest) -> SessionRow | None:
        """Its live session; one that is being stopped is waited for, so that no two of a name ever run at once."""
        for _ in range(15):
            row = await self.db.run(stored.live_one, request.person, request.kind, request.name)
            if row is None or row.state != "stopping":
                return row
            self.watchers[row.centre].poke()
            await within(self.changes.event(row.id), 1)
        raise Refused("The earlier session of that name is still being stopped.", hint="Try again in a few seconds.", code="stopping")

    def _begin(self, tx: Tx, session_id: str, request: JobRequest, payload: Json, hashed: str) -> SessionRow:
        """Placement, quota, hold and session row in one transaction; another live one of that name wins."""
        if existing := stored.live_one(tx, request.person, request.kind, request.name):
            return existing
        decision, _ = self._decide(tx, request)
        best, request, now = decision.best, decision.request, self.clock()
        if best is None:
            raise placement.refused(decision)
        project = projects.resolve(tx, request.person, request.project)
        projects.check_quota(tx, project, request)
        self._afford(tx, project.id, best.cost, best.cost_per_hour)
        books.hold(tx, project.id, session_id, best.cost, now, "the most it may cost")
        stored.insert(
            tx, id=session_id, person=request.person, project=project.id, kind=request.kind, name=request.name, state="intent",
            live=True, request=sessions.request_document(request), placement=documents.placement(decision), payload=payload,
            nonce=hashed, centre=best.offer.centre, partition=best.offer.partition, why=decision.reason,
            account=self._account(tx, best.offer.centre, request.person), job_id="", node="", host="", port=0, address="",
            reason="", place_in_queue=0, end_reason="", created_at=now, unknown_why="", held=best.cost.micros,
        )  # fmt: skip
        stored.say(tx, session_id, now, decision.reason)
        row = stored.get(tx, session_id)
        assert row is not None
        return row

    def _account(self, tx: Tx, centre: str, person: str) -> str:
        return accounts.account_of(tx, self.centres[centre].spec, person)

    def _afford(self, tx: Tx, project: str, cost: Amount, hourly: Amount) -> None:
        """Raises Overdrawn, with the longest walltime that would pass."""
        try:
            books.check(tx, project, cost)
        except Refused as error:
            available = books.balance(tx, project).available
            longest = timedelta(hours=max(0, available.micros) / hourly.micros) if hourly else timedelta()
            minutes = int(longest.total_seconds() // 60)
            error.hint = f"With this size, a walltime of at most {minutes} min would pass. {error.hint}" if minutes else error.hint
            error.details["walltime_would_pass_s"] = minutes * 60
            raise

    def _launch(self, session_id: str, *, again: bool = False) -> None:
        self._launching.add(session_id)
        self.own(self._launch_until_sure(session_id, again))

    async def _launch_until_sure(self, session_id: str, again: bool) -> None:
        """Submits, moves on where a centre refuses, asks again where it can't be asked; ends with a job or an end."""
        pause, tried = 1.0, [""]
        try:
            while row := await self._wanted(session_id):
                try:
                    job_id = await self._submit_once(row, again)
                    return await self._submitted(row, job_id)
                except Rejected as error:
                    tried.append(f"{row.centre}/{row.partition}")
                    again = False
                    if len(tried) > TRIES or not await self._move(row, tried, str(error)):
                        return await self._end(row, f"{row.centre} refused the job: {error}")
                except CentreError as error:
                    again = True  # it may have been accepted: the name is looked up before the next try
                    await self.change(row.id, {"reason": str(error)}, f"{row.centre} does not answer ({error}); asking again.")
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, 30)
        finally:
            self._launching.discard(session_id)

    async def _wanted(self, session_id: str) -> SessionRow | None:
        row = await self.db.run(stored.get, session_id)
        return row if row and row.live and not row.job_id else None

    async def _submit_once(self, row: SessionRow, again: bool) -> str:
        """The job's id; "" if the session was stopped before anything was submitted."""
        centre = self.centres[row.centre]
        name = sessions.job_name(row.id)
        if again and (found := await centre.find(name, account=row.account)):
            return found
        if row.cancelled_at:
            return ""
        start = self.addresses.start_file(centre.spec, row, await centre.transport.hub_url())
        await centre.put(starts.path(centre.spec, row, "start.json"), json.dumps(start).encode(), account=row.account)
        return await centre.submit(starts.job_spec(centre.spec, row), account=row.account)

    async def _submitted(self, row: SessionRow, job_id: str) -> None:
        if not job_id:
            return await self._end(row, "Stopped on request, before it was submitted.")
        fresh = await self.db.run(self._has_job, row.id, job_id)
        self.changes.tell(row.id)
        if fresh.cancelled_at:
            await self.cancel_job(fresh)
        self.watchers[row.centre].poke(1.0)

    def _has_job(self, tx: Tx, session_id: str, job_id: str) -> SessionRow:
        row = stored.get(tx, session_id)
        assert row is not None
        state = {"state": "submitted"} if row.state == "intent" else {}  # it may have called home before sbatch answered
        stored.change(tx, session_id, **state, job_id=job_id, submitted_at=self.clock(), reason="")
        stored.say(tx, session_id, self.clock(), f"Submitted to {row.centre}, partition {row.partition}, as job {job_id}.")
        return replace(row, job_id=job_id)

    async def heard(self, session_id: str, status: JobStatus, tail: str) -> SessionRow | None:
        """Takes in a centre's word on the row as it is now; the row as it was, if that changed anything."""
        row = await self.db.run(self._heard, session_id, status, tail)
        if row:
            self.changes.tell(session_id)
        return row

    def _heard(self, tx: Tx, session_id: str, status: JobStatus, tail: str) -> SessionRow | None:
        row = stored.get(tx, session_id)
        status = replace(status, node=plain(status.node, 200), reason=plain(status.reason))
        if row is None or not row.live or not (change := sessions.after(row, status)):
            return None
        said = sessions.event(row, change)
        if change.get("state") == "ended" and not row.ready_at and not row.cancelled_at:
            change["end_reason"] += tail
        self._change(tx, session_id, change, said)
        return row

    async def _move(self, row: SessionRow, tried: list[str], why: str) -> bool:
        """Rebooks a session that its centre refused on the next best place; False if there is none."""
        decision, _ = await self.place(sessions.request_of(row.request))
        left = [one for one in decision.ranked if f"{one.offer.centre}/{one.offer.partition}" not in tried]
        if not left:
            return False
        best = left[0]
        said = f"{row.centre} refused the job ({why}); moved to {best.offer.title}."
        try:
            await self.db.run(self._rebook, row, best.offer.centre, best.offer.partition, best.cost, said)
        except Refused:
            return False
        self.changes.tell(row.id)
        return True

    def _rebook(self, tx: Tx, row: SessionRow, centre: str, partition: str, cost: Amount, said: str) -> None:
        books.hold(tx, row.project, row.id, cost - Amount(row.held), self.clock(), said)
        account = self._account(tx, centre, row.person)
        stored.change(tx, row.id, centre=centre, partition=partition, account=account, held=cost.micros, why=said)
        stored.say(tx, row.id, self.clock(), said)

    # ---- ending

    async def cancel(self, row: SessionRow, why: str = "Stopped on request.") -> SessionRow:
        """Stops a session: the wish is written first, then carried out until the centre confirms the end."""
        if not row.live:
            return row
        if not row.cancelled_at:
            said = "Stopping." if why == "Stopped on request." else why
            await self.change(row.id, {"state": "stopping", "cancelled_at": self.clock(), "end_reason": why}, said)
            row = await self.get(row.id)
        if row.job_id:
            await self.cancel_job(row)
        elif row.id not in self._launching:
            self._launch(row.id, again=True)
        return await self.get(row.id)

    async def cancel_job(self, row: SessionRow) -> None:
        centre = self.centres[row.centre]
        try:
            name = sessions.job_name(row.id)  # by name: a centre that lost its state gives ids out again
            if job_id := await centre.find(name, account=row.account):
                await centre.cancel([job_id], account=row.account)
        except CentreError as error:
            log.warning("%s: cancelling job %s failed, will be tried again: %s", row.centre, row.job_id, error)
        self.watchers[row.centre].poke(0.3)

    async def _end(self, row: SessionRow, why: str) -> None:
        """Ends a session that never had a job: nothing to charge, the hold goes back at once."""
        await self.db.run(self._end_in, row.id, why)
        self.changes.tell(row.id)
        await self.scrub(row)

    def _end_in(self, tx: Tx, session_id: str, why: str) -> None:
        row, now = stored.get(tx, session_id), self.clock()
        if row is None or not row.live:
            return
        books.release(tx, row.project, row.id, Amount(row.held), now, "nothing ran")
        stored.change(tx, row.id, state="charged", live=False, ended_at=now, end_reason=why, payload={}, charged=0)
        stored.say(tx, row.id, now, why)

    async def scrub(self, row: SessionRow) -> None:
        """Empties the start file, with its token, at the centre, and closes the way to its port; best effort: the token is
        revoked by the hub as well."""
        centre, row = self.centres[row.centre], await self.get(row.id)  # it may have called home after `row` was read
        others = {one.address for one in await self.db.run(stored.live, centre=row.centre) if one.id != row.id}
        with contextlib.suppress(CentreError):
            if row.address and row.address not in others:  # a session may have named another's
                await centre.transport.unforward(*_address(row))
        with contextlib.suppress(CentreError):
            await centre.put(starts.path(centre.spec, row, "start.json"), b"{}", account=row.account)

    # ---- hearing and telling

    async def call_home(self, session_id: str, news: Json) -> None:
        """What a session's first process says of itself. Raises Refused if it isn't, or should no longer be, that session."""
        row = await self.get(session_id)
        if not sessions.nonce_matches(row, str(news.get("nonce", ""))):
            raise Refused("The nonce is not this session's.", code="bad-nonce")
        if not row.live or row.cancelled_at:
            raise Refused("This session is over or being stopped.", code="over")
        address: Json = {}
        if news["phase"] == "listening":
            self._check_host(row, str(news["host"]))
            said = f"{news['host']}:{news['port']}"
            await self.db.run(self._claim, row.id, said)
            host, port = await self.centres[row.centre].transport.forward(str(news["host"]), int(news["port"]))
            address = {"host": host, "port": port, "address": said}
        ready = row.kind != "lab" or news["phase"] == "listening"
        await self.db.run(self._came_home, row.id, address, ready, str(news["node"])[:200])
        self.changes.tell(row.id)
        self.watchers[row.centre].poke(2.0)

    def _claim(self, tx: Tx, session_id: str, address: str) -> None:
        """A session has one address, from the first time that it says one: before any way there is opened."""
        row = stored.get(tx, session_id)
        if row is None or not row.live or row.cancelled_at:
            raise Refused("This session is over or being stopped.", code="over")
        if row.address not in ("", address):
            raise Refused("Another copy of this session is already running.", code="not-first")
        stored.change(tx, session_id, address=address)

    def _came_home(self, tx: Tx, session_id: str, address: Json, ready: bool, node: str) -> None:
        """On the row as it is now: a session that ended or was stopped meanwhile stays so."""
        row, now = stored.get(tx, session_id), self.clock()
        if row is None or not row.live or row.cancelled_at:
            raise Refused("This session is over or being stopped.", code="over")
        if address and row.port and (row.host, row.port) != (address["host"], address["port"]):
            raise Refused("Another copy of this session is already running.", code="not-first")
        change = {**address, "started_at": row.started_at or now, "node": row.node or node, "reason": "", "place_in_queue": 0}
        if row.state != "ready":
            change |= {"state": "ready", "ready_at": now} if ready else {"state": "starting"}
            stored.say(tx, row.id, now, f"Ready on {change['node']}." if ready else f"Running on {change['node']}.")
        stored.change(tx, row.id, **change)

    def _check_host(self, row: SessionRow, host: str) -> None:
        """A session is reached at its centre's address for sessions, in its centre's networks of nodes, or on its own node:
        never where else it may say."""
        spec = self.centres[row.centre].spec
        if spec.network.nodes:
            if identity.lies_in(host, spec.network.nodes) and host != spec.network.listen:
                return
            raise Refused(f"{host} is not in the networks of nodes of {row.centre}.", code="bad-host")
        wanted = spec.session.host or row.node
        if not wanted:
            self.watchers[row.centre].poke()
            raise Unreachable(f"{row.centre} has not said yet on which node this session runs.", hint="Call again in a moment.")
        if host != wanted:
            raise Refused(f"{host} is not where a session at {row.centre} can listen.", code="bad-host")

    async def change(self, session_id: str, change: Json, said: str = "") -> None:
        await self.db.run(self._change, session_id, change, said)
        self.changes.tell(session_id)

    def _change(self, tx: Tx, session_id: str, change: Json, said: str) -> None:
        if change:
            stored.change(tx, session_id, **change)
        if said:
            stored.say(tx, session_id, self.clock(), said)

    async def last_lines(self, row: SessionRow, lines: int = 8) -> str:
        """The end of a job's output, as a tail for a sentence; "" if it can't be had."""
        text = await self.tail(row)
        kept = [line for line in text.splitlines() if line.strip()][-lines:]
        return plain("\nLast lines of its log:\n" + "\n".join(kept), 5000) if kept else ""

    async def tail(self, row: SessionRow, size: int = 4000) -> str:
        """The last `size` bytes of a job's output; "" if there is none, or it can't be had."""
        try:
            centre = self.centres[row.centre]
            return await centre.tail(starts.path(centre.spec, row, "log"), account=row.account, size=size)
        except CentreError:
            return ""

    async def get(self, session_id: str) -> SessionRow:
        row = await self.db.run(stored.get, session_id)
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
