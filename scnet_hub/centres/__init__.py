"""`Centre`: one member centre that can be asked. Its spec, its dialect's words and its transport, put together.

Asks one question per call, whatever the number of jobs, and answers in the values of `jobs`. Knows no session and no
person. Errors are the dialect's and the transport's own: `Unreachable`, `Rejected`, `Garbled`; the caller decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ..jobs import JobSpec, JobState, JobStatus, LoadSnapshot, UsageRecord

if TYPE_CHECKING:  # the embedded centre's daemon lives in this package and must not load pydantic
    from ..commands import Command, Completed
    from ..dialects import Dialect
    from ..standard.centre import CentreSpec
    from ..transport import Transport

TIMEOUT = 15.0  # above every healthy and every bounded answer seen (testbed.md 4)
BATCH = 500  # ids a question: keeps the command line far below any limit


class Centre:
    """`clock` gives the time at which an answer was heard."""

    def __init__(
        self, spec: CentreSpec, dialect: Dialect, transport: Transport, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.spec, self.dialect, self.transport, self.clock = spec, dialect, transport, clock
        self._places: dict[str, int] = {}

    @classmethod
    def of(cls, spec: CentreSpec) -> Centre:
        """The centre that `spec` describes; opens nothing yet. Raises SpecError."""
        from ..dialects import dialect
        from ..transport import transport

        return cls(spec, dialect(spec.dialect, accounting=spec.accounting), transport(spec))

    async def submit(self, job: JobSpec) -> str:
        """The job's id. After Unreachable or Garbled the job may have been accepted: `find` it before trying again."""
        return self.dialect.submitted(await self._ask(self.dialect.submit(job)))

    async def statuses(self, ids: Sequence[str]) -> dict[str, JobStatus]:
        """A status for every asked id: the queue's word, else accounting's, else UNKNOWN. Raises Unreachable."""
        known: dict[str, JobStatus] = {}
        for some in _batches(ids):
            known |= self.dialect.statuses(await self._ask(self.dialect.status(some)), self.clock())
        if absent := [job for job in ids if job not in known]:
            known |= {record.job_id: _status(record, self.clock()) for record in await self.usage(absent)}
        unknown = JobStatus(state=JobState.UNKNOWN, seen_at=self.clock(), reason="neither the queue nor accounting lists this job")
        return {job: self._placed(job, known.get(job, unknown)) for job in ids}

    def _placed(self, job: str, status: JobStatus) -> JobStatus:
        place = self._places.get(job, 0) if status.state is JobState.QUEUED else 0
        return replace(status, place=place) if place else status

    async def find(self, name: str) -> str | None:
        """The id of the job of that name: a live one, else an ended one that the queue still lists, else None."""
        return self.dialect.found(await self._ask(self.dialect.find(name)))

    async def cancel(self, ids: Sequence[str]) -> None:
        """Returns when these jobs are gone or going; harmless to repeat."""
        for some in _batches(ids):
            self.dialect.cancelled(await self._ask(self.dialect.cancel(some)))

    async def load(self) -> LoadSnapshot:
        """How full the partitions are now; also learns the places in the queue that the next `statuses` tell."""
        answers = list(await asyncio.gather(*(self._ask(command) for command in self.dialect.load())))
        snapshot = self.dialect.snapshot(answers, self.clock())
        self._places = self.dialect.places(answers)
        return snapshot

    async def usage(self, ids: Sequence[str]) -> list[UsageRecord]:
        """The accounting records of these jobs, those that have one; running jobs included."""
        wanted = set(ids)
        records = []
        for some in _batches(ids):
            records += self.dialect.records(await self._ask(self.dialect.usage(some)))
        return [record for record in records if record.job_id in wanted]

    async def put(self, path: str, data: bytes, *, mode: int = 0o600) -> None:
        await self.transport.put(path, data, mode=mode)

    async def tail(self, path: str, *, size: int = 4000) -> str:
        return await self.transport.tail(path, size=size)

    async def forward(self, host: str, port: int) -> tuple[str, int]:
        return await self.transport.forward(host, port)

    async def close(self) -> None:
        await self.transport.close()

    async def _ask(self, command: Command) -> Completed:
        return await self.transport.run(command, timeout=TIMEOUT)


def _batches(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + BATCH] for start in range(0, len(ids), BATCH)]


def _status(record: UsageRecord, at: datetime) -> JobStatus:
    """Accounting's word as a status. What it still calls queued or running, though the queue has lost it, isn't known."""
    if not record.state.ended:
        return JobStatus(state=JobState.UNKNOWN, seen_at=at, reason="accounting lists it as live, the queue does not")
    failed = record.state is JobState.FAILED and record.exit_code
    return JobStatus(state=record.state, seen_at=at, node=record.node, reason=f"exit code {record.exit_code}" if failed else "")
