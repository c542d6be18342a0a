"""Does the ledger's background work: begins and ends allocations, takes back lots that end, and seals entries into the
chain; audits on demand.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from ...adapters.db.database import Database
from ..accounting import audit, books, sealing
from ..accounting.audit import Audit
from ..periodic import run_every
from . import allocation_mails, allocations

EVERY = 5.0  # seconds from one look to the next
WARN_EVERY = timedelta(hours=1)  # between two checks for credits that end


class Bookkeeping:
    def __init__(self, db: Database, clock: Callable[[], datetime]) -> None:
        self.db, self.clock = db, clock
        self._warn_at: datetime | None = None

    async def run(self) -> None:
        """Runs until cancelled."""
        await run_every(self.once, EVERY, what="keeping the books")

    async def once(self) -> None:
        """Does all work that is due."""
        await self.db.run(allocations.renew, self.clock())
        await self.db.run(books.expire, self.clock())
        if self._warn_at is None or self.clock() >= self._warn_at:
            await self.db.run(allocation_mails.endings, self.clock())
            self._warn_at = self.clock() + WARN_EVERY
        sealed = sealing.SEALED
        while sealed == sealing.SEALED:
            sealed = await self.db.run(sealing.seal)

    async def verify(self) -> Audit:
        """Audits the ledger as it is now, after sealing everything that was written before."""
        await self.once()
        return await self.db.read(audit.verify)
