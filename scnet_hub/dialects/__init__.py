"""The words of schedulers. A dialect is builder/parser pairs, pure: commands out, facts in, many ids at once.

A dialect never sees a user, a project or a price, does no I/O and reads no clock (`at` is an argument). A new scheduler
is one file here, one line in `dialect`, and its samples in `tests/samples/<dialect>/`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from ..commands import Command, Completed
from ..errors import SpecError
from ..jobs import JobSpec, JobStatus, LoadSnapshot, UsageRecord


class Dialect(Protocol):
    """One scheduler's words. Parsers raise `Unreachable` when the answer says that the scheduler could not be asked,
    `Rejected` with the scheduler's words when it said no, `Garbled` when it cannot be read."""

    def submit(self, spec: JobSpec) -> Command: ...
    def submitted(self, done: Completed) -> str:
        """The job id."""

    def status(self, ids: Sequence[str]) -> Command: ...
    def statuses(self, done: Completed, at: datetime) -> dict[str, JobStatus]:
        """Those jobs the queue lists. A job that is absent has ended or was purged: accounting knows."""

    def find(self, name: str) -> Command: ...
    def found(self, done: Completed) -> str | None:
        """The id of the live (queued or running) job of that name, else of the newest ended one that the queue still
        lists, else None: a job that was accepted and ended before anybody asked must not be submitted again."""

    def cancel(self, ids: Sequence[str]) -> Command: ...
    def cancelled(self, done: Completed) -> None:
        """Returns if the jobs are gone or going; "no such job" is success."""

    def load(self) -> tuple[Command, ...]:
        """The questions whose answers, in that order, make a snapshot."""

    def snapshot(self, done: Sequence[Completed], at: datetime) -> LoadSnapshot: ...
    def places(self, done: Sequence[Completed]) -> dict[str, int]:
        """The place in the queue of every waiting job, 1 first, from the same answers; {} where it can't be said."""

    def usage(self, ids: Sequence[str]) -> Command: ...
    def records(self, done: Completed) -> list[UsageRecord]:
        """Accounting rows of those jobs, running ones included (their `ended_at` is None)."""


def dialect(name: str, *, accounting: str = "sacct") -> Dialect:
    """The dialect of that name, with the centre's kind of accounting; SpecError names the known ones."""
    from .slurm import Slurm

    known: dict[str, Callable[[str], Dialect]] = {"slurm": Slurm}
    if name not in known:
        raise SpecError(f"dialect {name!r} is not known.", hint=f"Known dialects: {', '.join(sorted(known))}.")
    return known[name](accounting)
