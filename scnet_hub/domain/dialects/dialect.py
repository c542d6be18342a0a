"""The words of schedulers. A dialect is builder/parser pairs, pure: commands out, facts in, many ids at once.

A dialect never sees a user, a project or a price, does no I/O and reads no clock (`at` is an argument). A new scheduler
is one file here, one line in `dialect`, and its samples in `tests/samples/<dialect>/`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ...errors import SpecError
from ..commands import Command, Completed
from ..jobs import JobSpec, JobStatus, LoadSnapshot, UsageRecord


class Dialect(Protocol):
    """One scheduler's words. Parsers raise `Unreachable` when the answer says that the scheduler could not be asked,
    `Rejected` with the scheduler's words when it said no, `Garbled` when it cannot be read."""

    def probe(self) -> tuple[Command, ...]:
        """What must be asked once to know what this installation can do; nothing is assumed from a version."""

    def probed(self, done: Sequence[Completed]) -> Dialect:
        """This dialect with that knowledge."""

    def submit(self, spec: JobSpec) -> Command: ...
    def submitted(self, done: Completed) -> str:
        """The job id."""

    def find(self, name: str) -> Command: ...
    def found(self, done: Completed) -> str | None:
        """The id of the live (queued or running) job of that name, else of the newest ended one that the queue still
        lists, else None: a job that was accepted and ended before anybody asked must not be submitted again."""

    def remembered(self, name: str) -> Command | None:
        """The question to accounting for jobs of that name that the queue has forgotten; None where `find` tells of
        them too, or where nothing remembers them."""

    def recalled(self, done: Completed) -> str | None:
        """The id of the newest of them; None if there is none."""

    def cancel(self, ids: Sequence[str]) -> Command: ...
    def cancelled(self, done: Completed) -> None:
        """Returns if the jobs are gone or going; "no such job" is success."""

    def queue(self) -> Command:
        """Everybody's jobs, ours among them: the one question of a look."""

    def statuses(self, done: Completed, at: datetime) -> dict[str, JobStatus]:
        """Those jobs the queue lists, with their place where it can be said. A job that is absent has ended or was
        purged: accounting knows."""

    def nodes(self) -> tuple[Command, ...]:
        """The partitions and their nodes."""

    def snapshot(self, nodes: Sequence[Completed], queue: Completed, at: datetime) -> LoadSnapshot: ...

    def usage(self, ids: Sequence[str], word: str = "") -> Command:
        """`word` is one that nobody could know before: strangers choose their jobs' names, and must not forge a row by
        them."""

    def usage_between(self, since: datetime, until: datetime, word: str = "") -> Command:
        """The same of everybody's jobs that ran or ended from `since` until `until`, as far as the asker may see them:
        at least all of the federation's, and perhaps others. `records` reads it."""

    def records(self, done: Completed) -> list[UsageRecord]:
        """Accounting rows of those jobs, running ones included where accounting has them (their `ended_at` is None)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a centre's page says of its scheduler. `accounting` and `accelerators`, the generic resources that count as
    GPUs, are Slurm's (empty: found out by the probe); `partitions` are the centre's, for a scheduler that hides its
    queues from those who only look."""

    accounting: str = ""
    partitions: tuple[str, ...] = ()
    accelerators: tuple[str, ...] = ()


def _slurm(page: Page) -> Dialect:
    from .slurm import Slurm

    return Slurm(page.accounting, accelerators=page.accelerators)


def _gridengine(page: Page) -> Dialect:
    from .gridengine import GridEngine

    return GridEngine()


def _oar(page: Page) -> Dialect:
    from .oar import Oar

    return Oar(page.partitions)


# Every dialect by the name that a centre's page has for it; a new one is a line here, and a file.
DIALECTS: Mapping[str, Callable[[Page], Dialect]] = {"slurm": _slurm, "gridengine": _gridengine, "oar": _oar}


def dialect(
    name: str, *, accounting: str = "", partitions: Sequence[str] = (), accelerators: Sequence[str] = ()
) -> Dialect:
    """The dialect of that name, for a centre whose page says the rest. Raises SpecError, which names the known ones."""
    if name not in DIALECTS:
        raise SpecError(f"dialect {name!r} is not known.", hint=f"Known dialects: {', '.join(sorted(DIALECTS))}.")
    return DIALECTS[name](Page(accounting=accounting, partitions=tuple(partitions), accelerators=tuple(accelerators)))
