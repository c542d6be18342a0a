"""The known state of each centre: its last snapshot, whether it answers, and the offers that follow from both.

Filled by the watchers, read by placement and pages; asks nothing itself.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ..jobs import JobRequest, LoadSnapshot
from ..placement.placement import Offer, Outlook, Shape, allotted, look, offers_of
from ..sessions.records import NewCopy
from ..standard.centre import CentreSpec
from .breaker import Breaker
from .health import Health

log = logging.getLogger(__name__)
# of one time: replaced as a whole, because one thread writes and others read
Looked = tuple[LoadSnapshot, Mapping[str, Outlook]]


@dataclass(slots=True)
class CentreState:
    """One centre: its page, and its last answer."""

    spec: CentreSpec
    order: int
    looked: Looked | None = None
    failing_since: datetime | None = None
    failure: str = ""
    health: Health = field(default_factory=Health)
    breaker: Breaker = field(default_factory=Breaker)
    tick: float = 0.0  # seconds between looks, where slow answers make them rarer than the page says
    news: dict[str, None] = field(default_factory=dict)  # all centres with news, by id
    wondered: set[str] = field(default_factory=set)  # unknown words in answers: each is logged once

    def update(self, snapshot: LoadSnapshot) -> None:
        looked = snapshot, {name: look(load, snapshot.taken_at) for name, load in snapshot.partitions.items()}
        self.looked, self.failing_since, self.failure = looked, None, ""
        self.health.counted(snapshot)
        for words in snapshot.strange:
            if words not in self.wondered:
                self.wondered.add(words)
                log.warning(
                    "%s: %s is unknown: whatever bears it counts as neither up, free nor ended.", self.spec.id, words
                )
        self._tell()

    def mark_failing(self, why: str, at: datetime) -> None:
        self.failing_since, self.failure = self.failing_since or at, why
        self._tell()

    def set_page(self, spec: CentreSpec) -> None:
        """Takes in a changed page."""
        self.spec = spec
        self._tell()

    def set_pace(self, tick: float) -> None:
        """Takes in the current seconds between looks."""
        before, self.tick = self.max_age, tick
        if self.max_age != before:
            self._tell()

    def _tell(self) -> None:
        self.news[self.spec.id] = None

    @property
    def snapshot(self) -> LoadSnapshot | None:
        return self.looked[0] if self.looked else None

    def state(self, now: datetime) -> str:
        """Returns "up", "stale", "down" or "unknown" (never contacted, and no error yet)."""
        if self.failing_since is not None:
            return "down"
        if self.snapshot is None:
            return "unknown"
        return "stale" if now - self.snapshot.taken_at > self.max_age else "up"

    def _why_not(self, failing_since: datetime | None) -> str:
        if failing_since:
            return f"{self.spec.name} has not answered since {failing_since:%H:%M:%S} UTC: {self.failure}"
        return f"{self.spec.name} has not been contacted yet"

    @property
    def max_age(self) -> timedelta:
        """Returns two ticks and 15 s: an older answer says nothing about the load."""
        return timedelta(seconds=2 * max(self.spec.watch.interval, self.tick) + 15)

    def why(self, now: datetime) -> str:
        """Returns the reason for people; "" while the centre is up."""
        state = self.state(now)
        if state in ("down", "unknown"):
            return self._why_not(self.failing_since)
        return f"{self.spec.name} has not answered for a while" if state == "stale" else ""

    def offers(self, copies: Iterable[NewCopy] = ()) -> list[Offer]:
        """Returns its partitions as offers; `copies` are our own newest jobs there, for those that the snapshot can't
        show yet. Changes by time alone are not included: an offer's own rule sees that an answer is old, and `refusals`
        when a breaker allows a trial."""
        looked, failing_since = self.looked, self.failing_since
        return offers_of(
            self.spec,
            looked[0] if looked else None,
            standing=(
                "down" if failing_since else "up" if looked else "unknown",
                "" if looked and not failing_since else self._why_not(failing_since),
            ),
            pending=_pending(copies, looked),
            outlooks=looked[1] if looked else None,
            max_age=self.max_age,
            order=self.order,
        )

    def allotted(self, request: JobRequest, partition: str) -> JobRequest:
        """Returns the request with the resources that its job gets there, as far as the last snapshot shows."""
        offered = self.spec.offered(partition)
        load = self.snapshot.partitions.get(partition) if self.snapshot else None
        return allotted(request, load, offered.gpu_model if offered else "")

    def pending(self, copies: Iterable[NewCopy]) -> Mapping[str, tuple[Shape, ...]]:
        """Returns, by partition, the shares of those copies that the last snapshot does not show."""
        return _pending(copies, self.looked)


def _pending(copies: Iterable[NewCopy], looked: Looked | None) -> Mapping[str, tuple[Shape, ...]]:
    pending: dict[str, tuple[Shape, ...]] = {}
    for copy in copies:
        if copy.submitted_at is None or looked is None or copy.submitted_at >= looked[0].taken_at:
            pending[copy.partition] = (*pending.get(copy.partition, ()), *_shares(copy.request))
    return pending


def _shares(request: Mapping[str, Any]) -> tuple[Shape, ...]:
    """Returns the share of each node in one of our jobs."""
    nodes = max(int(request["nodes"]), 1)
    return (Shape(*(-(-int(request[what]) // nodes) for what in ("cores", "gpus", "memory"))),) * nodes


@dataclass(slots=True)
class CentreStates:
    """All centres of the federation, in its order."""

    centres: dict[str, CentreState] = field(default_factory=dict)
    news: dict[str, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, known in self.centres.items():
            known.news = self.news
            self.news[name] = None

    @classmethod
    def of(cls, specs: Iterable[CentreSpec]) -> CentreStates:
        return cls({spec.id: CentreState(spec, order) for order, spec in enumerate(specs)})

    def refusals(self, now: datetime) -> Mapping[str, str]:
        """Returns, by centre, why no session should go there now although it answers."""
        tripped = (known for known in self.centres.values() if known.breaker.open_until)
        return {known.spec.id: words for known in tripped if (words := known.breaker.refusal(now))}
