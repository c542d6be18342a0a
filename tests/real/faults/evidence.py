"""The evidence for the checker, as facts: people's requests, what the broker wrote, the centres' own accounting, and
what was broken.

Times are seconds since the epoch, amounts micro-credits. No I/O.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.real.testbed.layout import CENTRES

from .catalogue import FAULTS

_NAME = re.compile(r"scnet-([a-z0-9]{12})(?:-\d+)?")


def session_of(job_name: str) -> str:
    """The session that a job's name speaks of; "" if it is none of ours."""
    found = _NAME.fullmatch(job_name)
    return found[1] if found else ""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One job, by its centre's accounting. `birth` counts how often that centre came to life: job ids begin at 1 each
    time."""

    centre: str
    job_id: str
    name: str
    birth: int = 0
    live: bool = False
    started: float | None = None
    ended: float | None = None
    cores: int = 0
    gpus: int = 0
    elapsed: float = 0.0
    node: str = ""
    word: str = ""  # the scheduler's own for how it stands or ended

    @property
    def price(self) -> float:
        """By the centre's page, in micro-credits."""
        centre = CENTRES[self.centre]
        return (self.cores * centre.core_hour + self.gpus * centre.gpu_hour) * self.elapsed / 3600 * 1e6

    @property
    def a_second(self) -> float:
        """What a second of it costs."""
        centre = CENTRES[self.centre]
        return (self.cores * centre.core_hour + self.gpus * centre.gpu_hour) / 3600 * 1e6


@dataclass(frozen=True, kw_only=True)
class Session:
    """As the broker's database has it at the end."""

    id: str
    kind: str = "batch"
    name: str = ""
    centre: str = ""
    node: str = ""
    state: str = "ready"
    live: bool = True
    created: float = 0.0
    ready: float | None = None
    ended: float | None = None
    reason: str = ""
    end_reason: str = ""
    replaced: bool = False  # another session took it over before its walltime ended


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry of the books: what it paid to a centre, and what it put on (+) or took off (-) the held account."""

    session: str
    kind: str
    centre: str = ""
    paid: int = 0
    held: int = 0


@dataclass(frozen=True, kw_only=True)
class Start:
    """One wish to start, to its conclusion: "accepted" with a session, "refused" or "gave-up" with words."""

    at: float
    outcome: str
    session: str = ""
    words: str = ""


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """A job of ours that a centre listed as live. `known`: the broker had it as a live session's or a live copy's, was
    cancelling it, or listed it as an orphan."""

    at: float
    centre: str
    job_id: str
    name: str
    known: bool


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A fault as it was, from its first command to the end of its mending."""

    name: str
    target: str
    began: float
    ended: float
    at: str = ""

    @property
    def kills(self) -> bool:
        return FAULTS[self.name].kills


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Whether a session that the broker calls ready was reached, when all was mended: a lab's API, a program's
    heartbeat."""

    session: str
    ok: bool
    words: str = ""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """`stops`: when somebody first wished that a session stop. `finite`: sessions whose program ends by itself.
    `wrong`: what `ledger verify` found."""

    ended: float
    starts: tuple[Start, ...] = ()
    stops: Mapping[str, float] = field(default_factory=dict)
    finite: frozenset[str] = frozenset()
    sessions: tuple[Session, ...] = ()
    entries: tuple[Entry, ...] = ()
    wrong: tuple[str, ...] = ()
    runs: tuple[Run, ...] = ()
    sightings: tuple[Sighting, ...] = ()
    answers: tuple[Answer, ...] = ()
    broken: tuple[Broken, ...] = ()
