"""Tests that a snapshot of ten thousand running jobs is taken in without sorting: sorting happens only for a caller
that asks for a free time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from scnet_hub.domain.jobs import Booking, NodeLoad, PartitionLoad, Waiting
from scnet_hub.domain.placement.placement import look

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)


class Looked(Sequence[Booking]):
    """Running jobs that count how often they are gone through."""

    def __init__(self, number: int) -> None:
        self.jobs = [Booking(ends_at=NOW + timedelta(seconds=(job * 7919) % 86_400), cores=1) for job in range(number)]
        self.times = 0

    def __len__(self) -> int:
        return len(self.jobs)

    def __getitem__(self, index: Any) -> Any:
        return self.jobs[index]

    def __iter__(self) -> Iterator[Booking]:
        self.times += 1
        return iter(self.jobs)


def full(running: Looked, *waiting: Waiting) -> PartitionLoad:
    cores = len(running)
    node = NodeLoad(name="all", cores=cores, cores_used=cores)
    return PartitionLoad(
        name="main", nodes=(node,), running=running, running_jobs=cores, waiting=waiting, queued_jobs=len(waiting),
        queued_cores=sum(one.cores for one in waiting),
    )  # fmt: skip


def test_a_full_partition_is_taken_in_without_a_look_at_its_jobs() -> None:
    running = Looked(10_000)
    look(full(running), NOW)
    look(full(running, Waiting(cores=1, walltime=timedelta(hours=1))), NOW)
    assert running.times == 0


def test_when_something_is_free_is_worked_out_once_for_all_who_ask() -> None:
    running = Looked(1_000)
    seen = look(full(running), NOW)
    ends = sorted(job.ends_at for job in running.jobs)
    assert [seen.frees(cores, 0) for cores in (1, 10, 1_000, 1_001)] == [ends[0], ends[9], ends[-1], None]
    assert running.times == 1
