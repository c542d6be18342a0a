"""What the books need while nobody asks: allocations begin and end, lots that end are taken back, entries are sealed into the chain; and an
audit on demand.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from . import allocations
from .db import Database
from .errors import ScnetError
from .ledger import audit, books
from .ledger.audit import Audit

log = logging.getLogger(__name__)
EVERY = 5.0  # seconds from one look to the next


class Bookkeeping:
    def __init__(self, db: Database, clock: Callable[[], datetime]) -> None:
        self.db, self.clock = db, clock

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.once()
            except ScnetError as error:
                log.warning("the books can't be kept now, will be tried again: %s", error)
            await asyncio.sleep(EVERY)

    async def once(self) -> None:
        """All that is due."""
        await self.db.run(allocations.renew, self.clock())
        await self.db.run(books.expire, self.clock())
        sealed = books.SEALED
        while sealed == books.SEALED:
            sealed = await self.db.run(books.seal)

    async def verify(self) -> Audit:
        """Of the books as they are now, with everything sealed that was written before."""
        await self.once()
        return await self.db.read(audit.verify)
