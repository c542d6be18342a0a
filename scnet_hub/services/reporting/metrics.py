"""Provides metrics of the broker in Prometheus's format: calls to centres, ages of their data, sessions by state.

Calls are counted as they are made (`Centre.observe`); ages and sessions are read when the monitor asks. Knows no HTTP.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from ...adapters.db.database import Database
from ...adapters.db.queries import sessions as session_rows
from ...domain.centres.health import ProbeResult
from ...domain.centres.state import CentreStates

CONTENT_TYPE = CONTENT_TYPE_LATEST
STATES = ("up", "stale", "down", "unknown")


class Metrics:
    """One registry per broker, so that several brokers can live in one process."""

    def __init__(self, db: Database, states: CentreStates, clock: Callable[[], datetime]) -> None:
        self.db, self.states, self.clock = db, states, clock
        self.registry = CollectorRegistry()
        labels = ("centre", "program")
        self._asked = Counter(
            "scnet_centre_questions", "Commands run at a centre.", (*labels, "answered"), registry=self.registry
        )
        buckets = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30)
        self._took = Histogram(
            "scnet_centre_seconds", "Time to the answer.", labels, buckets=buckets, registry=self.registry
        )
        self._age = Gauge(
            "scnet_centre_snapshot_age_seconds",
            "Age of the facts about a centre.",
            ("centre",),
            registry=self.registry,
        )
        self._state = Gauge(
            "scnet_centre_state", "1 for the state that a centre is in.", ("centre", "state"), registry=self.registry
        )
        self._sessions = Gauge("scnet_sessions", "Live sessions.", ("centre", "kind", "state"), registry=self.registry)

    def asked(self, centre: str, step: ProbeResult) -> None:
        """Counts a command that was run at that centre. Further steps found in its answer are not counted."""
        if step.hop == "login":
            self._asked.labels(centre, step.program, "no" if step.error else "yes").inc()
            self._took.labels(centre, step.program).observe(step.seconds)

    async def text(self) -> bytes:
        """Returns all metrics in Prometheus's text format."""
        now = self.clock()
        for name, known in self.states.centres.items():
            if known.snapshot:
                self._age.labels(name).set((now - known.snapshot.taken_at).total_seconds())
            for state in STATES:
                self._state.labels(name, state).set(known.state(now) == state)
        counts = await self.db.query(session_rows.count_live)
        self._sessions.clear()
        for (centre, kind, state), count in counts.items():
            self._sessions.labels(centre, kind, state).set(count)
        return generate_latest(self.registry)
