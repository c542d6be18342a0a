"""`Centre`: one member centre that answers questions. Joins the centre's spec, its dialect and its transport.

Each call asks one question, whatever the number of jobs, and answers in the values of `jobs`. A centre knows accounts,
but no session and no person. Errors are those of the dialect and the transport: `Unreachable`, `Rejected`, `Garbled`;
the caller decides.
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

from ..domain.centres.health import ProbeResult
from ..domain.jobs import JobSpec, JobState, JobStatus, LoadSnapshot, UsageRecord
from ..errors import CentreError, Rejected, Silent, Unreachable

if TYPE_CHECKING:  # the embedded centre's daemon lives in this package and must not load pydantic
    from ..domain.commands import Command, Completed
    from ..domain.dialects.dialect import Dialect
    from ..domain.standard.centre import CentreSpec
    from .transport.transport import Means, Transport

TIMEOUT = 15.0  # above every healthy and every bounded answer measured (testbed.md 4)
# A command outlives the connection and the process that sent it for this long: `timeout -k 5` ends the command at the
# centre.
AFTERLIFE = {"ssh": timedelta(seconds=TIMEOUT + 6)}
BATCH = 500  # ids in one question: keeps the command line far below any limit
Observer = Callable[[ProbeResult], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The result of one look at a centre: a status for each job that was asked about, all jobs that the queue lists,
    and how full the centre is, if that was asked."""

    statuses: Mapping[str, JobStatus]
    listed: Mapping[str, JobStatus]
    snapshot: LoadSnapshot | None


class Centre:
    """Asks one centre. `clock` gives the time at which an answer arrived. `observe` is called with the result of each
    step of each question: of the transport, and of reading the answer. `afterlife` is how long a command may continue
    at the centre after its caller is gone. `account` is the account that asks at the centre; "" is the federation's
    own."""

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
        """Returns the centre that `spec` describes; opens nothing yet. Raises SpecError."""
        from ..domain.dialects.dialect import dialect
        from .transport.factory import transport

        partitions = [partition.name for partition in spec.partition]
        words = dialect(spec.dialect, accounting=spec.accounting, partitions=partitions, accelerators=spec.accelerators)
        return cls(spec, words, transport(spec, means), afterlife=AFTERLIFE.get(spec.transport.kind, timedelta()))

    async def submit(self, job: JobSpec, *, account: str = "") -> str:
        """Submits a job and returns the job's id. After Unreachable or Garbled the job may have been accepted: call
        `find` before trying again."""
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
        """Looks for an earlier submission whose answer was lost, from this process or an earlier process. Returns the
        job's id, or None once the submission can no longer be under way. Raises Unreachable until then."""
        over = self.clock() >= self._sent.get(name, self._born) + self.afterlife
        found = await self.find(name, account=account) or await self._remembered(name, account)
        if not found and not over:
            raise Unreachable(f"{name}: an earlier submission of this job may still be under way there.")
        self._sent.pop(name, None)
        return found

    async def _remembered(self, name: str, account: str) -> str | None:
        """Returns the id of a job that ran and that the queue has forgotten: this job must not run again."""
        words = await self._words()
        question = words.remembered(name)
        return words.recalled(await self._ask(question, account, hop="accounting")) if question else None

    async def look(self, ids: Sequence[str], *, nodes: bool) -> Look:
        """Returns a status for each of `ids` (from the queue, else from accounting, else UNKNOWN), from one question to
        the queue; with `nodes` also how full the partitions are."""
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
        return Look(
            statuses={job: known[job] if job in known else found[job] for job in ids}, listed=known, snapshot=snapshot
        )

    async def _accounted(self, ids: Sequence[str]) -> dict[str, JobStatus]:
        """Returns statuses from accounting for jobs that the queue does not list."""
        why, asked = "neither the queue nor accounting lists this job", True
        try:
            found = {record.job_id: _status(record, self.clock()) for record in await self.usage(ids)}
        except CentreError as error:
            found, why, asked = {}, f"the queue does not list this job, and accounting can't be asked: {error}", False
        unknown = JobStatus(state=JobState.UNKNOWN, seen_at=self.clock(), reason=why, forgotten=asked)
        return {job: found.get(job, unknown) for job in ids}

    async def statuses(self, ids: Sequence[str]) -> dict[str, JobStatus]:
        """Returns a status for each of `ids`; asks nothing if `ids` is empty. Raises Unreachable."""
        return dict((await self.look(ids, nodes=False)).statuses) if ids else {}

    async def load(self) -> LoadSnapshot:
        """Returns how full the partitions are now."""
        snapshot = (await self.look((), nodes=True)).snapshot
        assert snapshot is not None
        return snapshot

    async def find(self, name: str, *, account: str = "") -> str | None:
        """Returns the id of the job with that name: a live job, else an ended job that the queue still lists, else
        None."""
        words = await self._words()
        return words.found(await self._ask(words.find(name), account))

    async def cancel(self, ids: Sequence[str], *, account: str = "") -> None:
        """Returns when these jobs are gone or ending; harmless to repeat."""
        words = await self._words()
        for some in _batches(ids):
            words.cancelled(await self._ask(words.cancel(some), account))

    async def usage(self, ids: Sequence[str]) -> list[UsageRecord]:
        """Returns the accounting records of these jobs, running jobs included. A job without a record is left out."""
        words = await self._words()
        wanted = set(ids)
        records = []
        for some in _batches(ids):
            done = await self._ask(words.usage(some, secrets.token_hex(4)), hop="accounting")
            with self._reading("accounting"):
                records += words.records(done)
        return [record for record in records if record.job_id in wanted]

    async def usage_between(self, since: datetime, until: datetime) -> list[UsageRecord]:
        """Returns the accounting records of all people's jobs that ended in [since, until) or still run, as far as the
        federation may see them, and perhaps some older records. Rows that can't be read are among the records."""
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
        """Returns the dialect, after asking what this installation can do."""
        async with self._probing:
            if not self._probed:
                answers = [await self._ask(command) for command in self.dialect.probe()]
                with self._reading("scheduler"):
                    self.dialect, self._probed = self.dialect.probed(answers), True
        return self.dialect

    async def _ask(self, command: Command, account: str = "", *, hop: str = "scheduler") -> Completed:
        """Returns the transport's answer to a question for `hop`. If the program did not end in time, `hop` is reported
        as silent."""
        program = next((word for word in command.argv if word != "env" and "=" not in word), "")
        began = time.monotonic()

        def asked(error: CentreError | None) -> ProbeResult:
            return ProbeResult(
                hop="login",
                at=self.clock(),
                program=program,
                seconds=time.monotonic() - began,
                error=error,
                account=account,
            )

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
        """Reads an answer and reports the state of `hop`: whether the answer could be read and is valid."""
        try:
            yield
        except CentreError as error:
            self.observe(ProbeResult(hop=hop, at=self.clock(), error=error))
            raise
        self.observe(ProbeResult(hop=hop, at=self.clock()))


def _batches(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + BATCH] for start in range(0, len(ids), BATCH)]


def _status(record: UsageRecord, at: datetime) -> JobStatus:
    """Returns accounting's record as a status. A job that accounting calls queued or running, but that the queue has
    lost, is UNKNOWN."""
    if not record.state.ended:
        return JobStatus(state=JobState.UNKNOWN, seen_at=at, reason="accounting lists it as live, the queue does not")
    failed = record.state is JobState.FAILED and record.exit_code
    why = f"exit code {record.exit_code}" if failed else ""
    return JobStatus(state=record.state, seen_at=at, name=record.name, node=record.node, reason=why)
