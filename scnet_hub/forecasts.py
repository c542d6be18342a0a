"""What starts of late say of the next: the ranges that are promised, and how long a session takes at a centre to be ready.

Learned anew every minute from the decision log, which is what survives a restart; between two times the same for all decisions.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from . import hindsight
from .db import Database, Tx
from .db import decisions as stored
from .errors import ScnetError
from .placement import Calibration, Forecast, Offer, startup
from .placement.calibration import UNTRIED

log = logging.getLogger(__name__)
EVERY = 60.0  # seconds
LAST, WITHIN = 2000, timedelta(days=14)  # decisions that count


class Forecasts:
    def __init__(self, db: Database, clock: Callable[[], datetime]) -> None:
        self.db, self.clock = db, clock
        self.forecast: Forecast = UNTRIED
        self.startups: Mapping[tuple[str, str], float] = {}

    async def run(self) -> None:
        while True:
            try:
                await self.learn()
            except ScnetError as error:
                log.warning("what starts took could not be read, will be tried again: %s", error)
            await asyncio.sleep(EVERY)

    async def learn(self) -> None:
        rows, samples = await self.db.run(self._read)
        calibration = Calibration()
        for wait, centre, waited, promised in hindsight.lessons(rows):
            calibration.learn(wait, centre, waited, promised)
        self.forecast, self.startups = calibration.forecast(), startup.learn(samples)

    def _read(self, tx: Tx) -> tuple[list[stored.DecisionRow], list[stored.Sample]]:
        since = self.clock() - WITHIN
        return stored.newest(tx, since, LAST), stored.startups(tx, since)

    def ready(self, offers: Iterable[Offer], kind: str, app: str) -> tuple[Offer, ...]:
        """The offers with how long such a session takes there from its start until it is ready, where that is known."""
        taken = startup.of_app(self.startups, app) if kind == "lab" else {}
        return tuple(replace(one, startup=taken[one.centre]) if one.centre in taken else one for one in offers)
