"""What goes on by itself: a look, again and again, and no fault of one is the end of all. What can't be done now is logged in a line, a
fault whole.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from ..errors import ScnetError

log = logging.getLogger(__name__)
Look = Callable[[], Awaitable[object]]


async def rounds(look: Look, every: float, *, what: str) -> None:
    """Until cancelled, with so many seconds from the end of one look to the next. `what` the look does stands in the log."""
    while True:
        await attempt(look, what=what)
        await asyncio.sleep(every)


async def attempt(look: Look, *, what: str) -> bool:
    """One look, and whether it went well; raises nothing but a cancellation."""
    try:
        await look()
        return True
    except ScnetError as error:
        log.warning("%s failed, will be tried again: %s", what, error)
    except Exception:
        log.exception("%s failed", what)
    return False
