"""What is known of each centre now: its last snapshot, whether it answers, and the offers that follow from both.

Filled by the watchers, read by placement and pages; it asks nobody anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from .breaker import Breaker
from .db.sessions import SessionRow
from .health import Health
from .jobs import LoadSnapshot
from .placement import Offer, Outlook, Shape, look, offers_of
from .standard.centre import CentreSpec


@dataclass(slots=True)
class Known:
    """One centre: what it promises, and what it last said."""

    spec: CentreSpec
    order: int
    snapshot: LoadSnapshot | None = None
    failing_since: datetime | None = None
    failure: str = ""
    health: Health = field(default_factory=Health)
    breaker: Breaker = field(default_factory=Breaker)
    tick: float = 0.0  # seconds between looks, where its slow answers make them rarer than its page says
    outlooks: Mapping[str, Outlook] = field(default_factory=dict)

    def took(self, snapshot: LoadSnapshot) -> None:
        self.snapshot, self.failing_since, self.failure = snapshot, None, ""
        self.outlooks = {name: look(load, snapshot.taken_at) for name, load in snapshot.partitions.items()}
        self.health.counted(snapshot)

    def failed(self, why: str, at: datetime) -> None:
        self.failing_since, self.failure = self.failing_since or at, why

    def state(self, now: datetime) -> str:
        """ "up", "stale", "down" or "unknown" (never heard of, and no error yet)."""
        if self.failing_since is not None:
            return "down"
        if self.snapshot is None:
            return "unknown"
        return "stale" if now - self.snapshot.taken_at > self.max_age else "up"

    @property
    def max_age(self) -> timedelta:
        """Two ticks and 15 s: what is older says nothing of the load."""
        return timedelta(seconds=2 * max(self.spec.watch.interval, self.tick) + 15)

    def why(self, now: datetime) -> str:
        """A sentence for people; "" while it is up."""
        state = self.state(now)
        if state == "down" and self.failing_since:
            return f"{self.spec.name} does not answer since {self.failing_since:%H:%M:%S} UTC: {self.failure}"
        if state == "unknown":
            return f"{self.spec.name} has not been heard of yet"
        return f"{self.spec.name} was last heard of a while ago" if state == "stale" else ""

    def offers(self, rows: Iterable[SessionRow], now: datetime, refused: str = "") -> list[Offer]:
        """Its partitions as offers; `rows` are our own jobs there, for those the snapshot can't show yet."""
        state = self.state(now)
        return offers_of(
            self.spec,
            self.snapshot,
            state=state,  # type: ignore[arg-type]  # one of the four words
            why=self.why(now),
            pending=self._pending(rows),
            outlooks=self.outlooks,
            max_age=self.max_age,
            refused=refused or self.breaker.refusal(now),
            order=self.order,
        )

    def _pending(self, rows: Iterable[SessionRow]) -> dict[str, tuple[Shape, ...]]:
        taken_at = self.snapshot.taken_at if self.snapshot else None
        pending: dict[str, tuple[Shape, ...]] = {}
        for row in rows:
            if row.centre == self.spec.id and (row.submitted_at is None or taken_at is None or row.submitted_at >= taken_at):
                pending[row.partition] = (*pending.get(row.partition, ()), *_shares(row.request))
        return pending


def _shares(request: Mapping[str, Any]) -> tuple[Shape, ...]:
    """What each node of one of our jobs takes."""
    nodes = max(int(request["nodes"]), 1)
    return (Shape(*(-(-int(request[what]) // nodes) for what in ("cores", "gpus", "memory"))),) * nodes


@dataclass(slots=True)
class Load:
    """All centres of the federation, in its order."""

    centres: dict[str, Known] = field(default_factory=dict)

    @classmethod
    def of(cls, specs: Iterable[CentreSpec]) -> Load:
        return cls({spec.id: Known(spec, order) for order, spec in enumerate(specs)})

    def offers(self, rows: Iterable[SessionRow], now: datetime, refused: Mapping[str, str]) -> list[Offer]:
        """`refused` says, by centre, why a person can't be placed there."""
        rows = list(rows)
        return [offer for name, known in self.centres.items() for offer in known.offers(rows, now, refused.get(name, ""))]
