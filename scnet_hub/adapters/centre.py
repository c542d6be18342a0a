"""`Centre`: one member centre that can be asked. Its spec, its dialect's words and its transport, put together.

Asks one question per call, whatever the number of jobs, and answers in the values of `jobs`. Knows accounts, no session
and no person. Errors are the dialect's and the transport's own: `Unreachable`, `Rejected`, `Garbled`; the caller decides.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from ..domain.centres.health import Asked
from ..domain.jobs import JobSpec, JobState, JobStatus, LoadSnapshot, UsageRecord
from ..errors import CentreError, Rejected, Silent, Unreachable

if TYPE_CHECKING:  # the embedded centre's daemon lives in this package and must not load pydantic
    from ..domain.commands import Command, Completed
    from ..domain.dialects.dialect import Dialect
    from ..domain.standard.centre import CentreSpec
    from .transport.transport import Means, Transport

TIMEOUT = 15.0  # above every healthy and every bounded answer seen (testbed.md 4)
# A command that was sent outlives its connection, and its asker's process, for so long: `timeout -k 5` ends it at the centre.
AFTERLIFE = {"ssh": timedelta(seconds=TIMEOUT + 6)}
BATCH = 500  # ids a question: keeps the command line far below any limit
Observer = Callable[[Asked], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look at a centre showed: a status for each job that was asked about, everybody's jobs that its queue lists, and how
    full it is, if that was asked."""

    statuses: Mapping[str, JobStatus]
    listed: Mapping[str, JobStatus]
    snapshot: LoadSnapshot | None


class Centre:
    """`clock` gives the time at which an answer was heard; `observe` is told how each step of
    every question went: the transport's part, and what the answer said; `afterlife` is for how long a command may go on there when
    its asker is gone. `account` is who asks at the centre, "" the federation."""

    def __init__(
        self,
        spec: CentreSpec,
        dialect: Dialect,
        transport: Transport,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        observe: Observer = lambda asked: None,
        afterlife: timedelta = timedelta(),
    ) -> None:
        self.spec, self.dialect, self.transport, self.clock, self.observe = spec, dialect, transport, clock, observe
        self.afterlife, self._born = afterlife, clock()
        self._sent: dict[str, datetime] = {}  # names whose submission was not answered → when it was sent
        self._probed = False
        self._probing = asyncio.Lock()

    @classmethod
    def of(cls, spec: CentreSpec, means: Means | None = None) -> Centre:
        """The centre that `spec` describes; opens nothing yet. Raises SpecError."""
        from ..domain.dialects.dialect import dialect
        from .transport.factory import transport

        partitions = [partition.name for partition in spec.partition]
        words = dialect(spec.dialect, accounting=spec.accounting, partitions=partitions, accelerators=spec.accelerators)
        return cls(spec, words, transport(spec, means), afterlife=AFTERLIFE.get(spec.transport.kind, timedelta()))

    async def submit(self, job: JobSpec, *, account: str = "") -> str:
        """The job's id. After Unreachable or Garbled the job may have been accepted: `find` it before trying again."""
        words = await self._words()
        command = words.submit(job)
        self._sent[job.name] = self.clock()
        try:
            job_id = words.submitted(await self._ask(command, account))
        except CentreError as error:
            if isinstance(error, Rejected):
                self._sent.pop(job.name, None)
            raise
        self._sent.pop(job.name, None)
        return job_id

    async def submitted(self, name: str, *, account: str = "") -> str | None:
        """What became of an earlier submission whose answer was lost, by this process or one before it: the job's id, or None once
        it can't be under way any more. Raises Unreachable until then."""
        over = self.clock() >= self._sent.get(name, self._born) + self.afterlife
        found = await self.find(name, account=account) or await self._remembered(name, account)
        if not found and not over:
            raise Unreachable(f"{name}: an earlier submission of this job may still be under way there.")
        self._sent.pop(name, None)
        return found

    async def _remembered(self, name: str, account: str) -> str | None:
        """One that ran, and that the queue has forgotten by now: it must not run again."""
        words = await self._words()
        question = words.remembered(name)
        return words.recalled(await self._ask(question, account, hop="accounting")) if question else None

    async def look(self, ids: Sequence[str], *, nodes: bool) -> Look:
        """A status for every one of `ids` (the queue's word, else accounting's, else UNKNOWN), from one question to the
        queue; with `nodes` also how full the partitions are."""
        words = await self._words()
        of_nodes = (self._ask(question, hop="nodes") for question in (words.nodes() if nodes else ()))
        queue, *answers = await asyncio.gather(self._ask(words.queue()), *of_nodes)
        at = self.clock()
        with self._reading("scheduler"):
            known = await asyncio.to_thread(words.statuses, queue, at)
        snapshot = None
        if nodes:
            with self._reading("nodes"):
                snapshot = await asyncio.to_thread(words.snapshot, answers, queue, at)
        absent = [job for job in ids if job not in known]
        found = await self._accounted(absent) if absent else {}
        return Look(statuses={job: known[job] if job in known else found[job] for job in ids}, listed=known, snapshot=snapshot)

    async def _accounted(self, ids: Sequence[str]) -> dict[str, JobStatus]:
        """What accounting says of jobs that the queue does not list."""
        why, asked = "neither the queue nor accounting lists this job", True
        try:
            found = {record.job_id: _status(record, self.clock()) for record in await self.usage(ids)}
        except CentreError as error:
            found, why, asked = {}, f"the queue does not list this job, and accounting can't be asked: {error}", False
        unknown = JobStatus(state=JobState.UNKNOWN, seen_at=self.clock(), reason=why, forgotten=asked)
        return {job: found.get(job, unknown) for job in ids}

    async def statuses(self, ids: Sequence[str]) -> dict[str, JobStatus]:
        """A status for every asked id; asks nothing if there are none. Raises Unreachable."""
        return dict((await self.look(ids, nodes=False)).statuses) if ids else {}

    async def load(self) -> LoadSnapshot:
        """How full the partitions are now."""
        snapshot = (await self.look((), nodes=True)).snapshot
        assert snapshot is not None
        return snapshot

    async def find(self, name: str, *, account: str = "") -> str | None:
        """The id of the job of that name: a live one, else an ended one that the queue still lists, else None."""
        words = await self._words()
        return words.found(await self._ask(words.find(name), account))

    async def cancel(self, ids: Sequence[str], *, account: str = "") -> None:
        """Returns when these jobs are gone or going; harmless to repeat."""
        words = await self._words()
        for some in _batches(ids):
            words.cancelled(await self._ask(words.cancel(some), account))

    async def usage(self, ids: Sequence[str]) -> list[UsageRecord]:
        """The accounting records of these jobs, those that have one; running jobs included."""
        words = await self._words()
        wanted = set(ids)
        records = []
        for some in _batches(ids):
            done = await self._ask(words.usage(some, secrets.token_hex(4)), hop="accounting")
            with self._reading("accounting"):
                records += words.records(done)
        return [record for record in records if record.job_id in wanted]

    async def usage_between(self, since: datetime, until: datetime) -> list[UsageRecord]:
        """The accounting records of everybody's jobs that ended in [since, until) or go on, as far as the federation may see them, and of
        those perhaps that are older; rows that can't be read are among them."""
        words = await self._words()
        done = await self._ask(words.usage_between(since, until, secrets.token_hex(4)), hop="accounting")
        with self._reading("accounting"):
            records = await asyncio.to_thread(words.records, done)
        return [one for one in records if one.trouble or one.ended_at is None or since <= one.ended_at < until]

    async def put(self, path: str, data: bytes, *, account: str = "", mode: int = 0o600) -> None:
        await self.transport.put(path, data, account=account, mode=mode)

    async def tail(self, path: str, *, account: str = "", size: int = 4000) -> str:
        return await self.transport.tail(path, account=account, size=size)

    async def _words(self) -> Dialect:
        """The dialect, once it knows what this installation can do."""
        async with self._probing:
            if not self._probed:
                answers = [await self._ask(command) for command in self.dialect.probe()]
                with self._reading("scheduler"):
                    self.dialect, self._probed = self.dialect.probed(answers), True
        return self.dialect

    async def _ask(self, command: Command, account: str = "", *, hop: str = "scheduler") -> Completed:
        """The transport's answer to a question that is for `hop`: that hop is silent where its program ran without an end."""
        program = next((word for word in command.argv if word != "env" and "=" not in word), "")
        began = time.monotonic()

        def asked(error: CentreError | None) -> Asked:
            return Asked(hop="login", at=self.clock(), program=program, seconds=time.monotonic() - began, error=error, account=account)

        try:
            done = await self.transport.run(command, account=account, timeout=TIMEOUT)
        except CentreError as error:
            self.observe(asked(error))
            if isinstance(error, Silent):
                self.observe(replace(asked(error), hop=hop))
            raise
        self.observe(asked(None))
        return done

    @contextlib.contextmanager
    def _reading(self, hop: str) -> Iterator[None]:
        """Reads an answer: whether it can be read, and is one, says how that hop is."""
        try:
            yield
        except CentreError as error:
            self.observe(Asked(hop=hop, at=self.clock(), error=error))
            raise
        self.observe(Asked(hop=hop, at=self.clock()))


def _batches(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + BATCH] for start in range(0, len(ids), BATCH)]


def _status(record: UsageRecord, at: datetime) -> JobStatus:
    """Accounting's word as a status. What it still calls queued or running, though the queue has lost it, isn't known."""
    if not record.state.ended:
        return JobStatus(state=JobState.UNKNOWN, seen_at=at, reason="accounting lists it as live, the queue does not")
    failed = record.state is JobState.FAILED and record.exit_code
    why = f"exit code {record.exit_code}" if failed else ""
    return JobStatus(state=record.state, seen_at=at, name=record.name, node=record.node, reason=why)
