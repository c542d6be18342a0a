"""The values of a run: a person's request, and a job at a centre."""

from __future__ import annotations

from typing import Any


class Request:
    """A person's request, and what happened to it in this run."""

    __slots__ = (
        "arrived",
        "asked",
        "copies",
        "cores",
        "duplicates",
        "failures",
        "gave_up",
        "measured",
        "person",
        "run",
        "started_at",
        "walltime",
        "winner",
    )

    def __init__(self, arrived: float, cores: int, walltime: float, run: float, person: int, measured: bool) -> None:
        self.arrived, self.cores, self.walltime, self.run, self.person, self.measured = (
            arrived,
            cores,
            walltime,
            run,
            person,
            measured,
        )
        self.copies: list[Job] = []
        self.duplicates = self.failures = 0
        self.started_at: float | None = None
        self.winner: Job | None = None
        self.gave_up = False
        self.asked: Any = None  # the same in the product's words, made once


class State:
    """Where a job is."""

    COMING, QUEUED, RUNNING, OVER = range(4)


class Job:
    """A background job, or one copy of a person's request. Times are seconds; `limit` is when its estimate is over."""

    __slots__ = (
        "arrived",
        "asked_at",
        "booking",
        "cores",
        "ends",
        "estimate",
        "limit",
        "machine",
        "number",
        "request",
        "run",
        "state",
        "waiting",
    )

    def __init__(
        self, number: int, machine: int, cores: int, run: float, estimate: float, request: Request | None, now: float
    ) -> None:
        self.number, self.machine, self.cores, self.run, self.estimate, self.request = (
            number,
            machine,
            cores,
            run,
            estimate,
            request,
        )
        self.asked_at = self.arrived = now
        self.ends = self.limit = 0.0
        self.state = State.COMING
        self.booking: Any = None  # the product's description of it in a snapshot, made once
        self.waiting: Any = None

    @property
    def live(self) -> bool:
        return self.state != State.OVER
