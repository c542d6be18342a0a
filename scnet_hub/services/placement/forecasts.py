"""Learns from recent starts: the ranges that are promised, and how long a session takes at each centre to be ready.

Learned again every minute from the decision log, which survives a restart. Between two runs all decisions use the same
forecast.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from ...adapters.db.database import Database, Tx
from ...adapters.db.queries import decisions as decision_rows
from ...domain.jobs import JobRequest
from ...domain.placement import startup_times
from ...domain.placement.calibration import UNTRIED
from ...domain.placement.placement import Calibration, Forecast
from ..periodic import run_every
from . import accuracy

EVERY = 60.0  # seconds
LAST, WITHIN = 2000, timedelta(days=14)  # decisions that count


class Forecasts:
    def __init__(self, db: Database, clock: Callable[[], datetime]) -> None:
        self.db, self.clock = db, clock
        self.forecast: Forecast = UNTRIED
        self.startups: Mapping[str, Mapping[str, float]] = {}  # by app and centre

    async def run(self) -> None:
        await run_every(self.learn, EVERY, what="learning from what starts took")

    async def learn(self) -> None:
        rows, samples = await self.db.run(self._read)
        calibration = Calibration()
        for wait, centre, waited, promised in accuracy.lessons(rows, self.clock()):
            calibration.learn(wait, centre, waited, promised)
        learned = startup_times.learn(samples)
        self.forecast, self.startups = (
            calibration.forecast(),
            {app: startup_times.of_app(learned, app) for _, app in learned},
        )

    def _read(self, tx: Tx) -> tuple[list[decision_rows.DecisionRow], list[decision_rows.Sample]]:
        since = self.clock() - WITHIN
        return decision_rows.newest(tx, since, LAST), decision_rows.startups(tx, since)

    def startups_of(self, request: JobRequest) -> Mapping[str, float]:
        """Returns, by centre, how many seconds such a session takes there from its start until it is ready, where that
        is known."""
        return self.startups.get(request.app, {}) if request.kind == "lab" else {}
