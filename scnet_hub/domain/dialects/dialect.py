"""The interface of dialects. A dialect is a set of pairs of builder and parser, all pure: commands out, facts in, many
ids at once.

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
    """The dialect of one scheduler. Parsers raise `Unreachable` if the answer says that the scheduler could not be
    asked, `Rejected` with the scheduler's message if it refused, `Garbled` if the answer can't be read."""

    def probe(self) -> tuple[Command, ...]:
        """Returns the commands, sent once, that find out what this installation can do; nothing is assumed from a
        version."""

    def probed(self, done: Sequence[Completed]) -> Dialect:
        """Returns this dialect with the answers to the probe."""

    def submit(self, spec: JobSpec) -> Command: ...
    def submitted(self, done: Completed) -> str:
        """Returns the job id."""

    def find(self, name: str) -> Command: ...
    def found(self, done: Completed) -> str | None:
        """Returns the id of the live (queued or running) job of that name, else of the newest ended job that the queue
        still lists, else None: a job that was accepted and has already ended must not be submitted again."""

    def remembered(self, name: str) -> Command | None:
        """Returns the command that queries accounting for jobs of that name that the queue has forgotten; None if
        `find` lists such jobs too, or if nothing remembers them."""

    def recalled(self, done: Completed) -> str | None:
        """Returns the id of the newest of these jobs; None if there is none."""

    def cancel(self, ids: Sequence[str]) -> Command: ...
    def cancelled(self, done: Completed) -> None:
        """Returns if the jobs are gone or are ending; "no such job" is success."""

    def queue(self) -> Command:
        """Returns the only query of a look: all jobs of all users, ours among them."""

    def statuses(self, done: Completed, at: datetime) -> dict[str, JobStatus]:
        """Returns the states of the jobs that the queue lists, with their place if it can be determined. An absent job
        has ended or was purged: accounting knows."""

    def nodes(self) -> tuple[Command, ...]:
        """Returns the queries of the partitions and their nodes."""

    def snapshot(self, nodes: Sequence[Completed], queue: Completed, at: datetime) -> LoadSnapshot: ...

    def usage(self, ids: Sequence[str], word: str = "") -> Command:
        """Queries the usage of these jobs. `word` is unpredictable: other users choose their jobs' names, and must not
        be able to forge a row."""

    def usage_between(self, since: datetime, until: datetime, word: str = "") -> Command:
        """Queries the usage of all jobs that ran or ended from `since` until `until`, as far as the account may see
        them: at least all jobs of the federation, and perhaps others. `records` reads the answer."""

    def records(self, done: Completed) -> list[UsageRecord]:
        """Returns the accounting rows of these jobs, with running jobs if accounting has them (their `ended_at` is
        None)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a centre's page says about its scheduler. `accounting` and `accelerators` (the generic resources that count
    as GPUs) are Slurm's (empty: found by the probe); `partitions` are the centre's, for a scheduler that lists its
    queues only to its admins."""

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


# Every dialect by its name on a centre's page; a new dialect is a line here, and a file.
DIALECTS: Mapping[str, Callable[[Page], Dialect]] = {"slurm": _slurm, "gridengine": _gridengine, "oar": _oar}


def dialect(
    name: str, *, accounting: str = "", partitions: Sequence[str] = (), accelerators: Sequence[str] = ()
) -> Dialect:
    """Returns the dialect of that name, for a centre with this page. Raises SpecError, which names the known
    dialects."""
    if name not in DIALECTS:
        raise SpecError(f"Unknown dialect {name!r}.", hint=f"Known dialects: {', '.join(sorted(DIALECTS))}.")
    return DIALECTS[name](Page(accounting=accounting, partitions=tuple(partitions), accelerators=tuple(accelerators)))
