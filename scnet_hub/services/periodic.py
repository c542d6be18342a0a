"""Runs a task periodically. An error in one run does not stop the next. An expected error is logged in a line, any
other with its traceback.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from ..errors import ScnetError

log = logging.getLogger(__name__)
Look = Callable[[], Awaitable[object]]


async def run_every(look: Look, every: float, *, what: str) -> None:
    """Runs `look` until cancelled, with `every` seconds from the end of one run to the next. `what` names the task in
    the log."""
    while True:
        await run_once(look, what=what)
        await asyncio.sleep(every)


async def run_once(look: Look, *, what: str) -> bool:
    """Runs `look` once and returns whether it succeeded. Raises nothing but a cancellation."""
    try:
        await look()
        return True
    except ScnetError as error:
        log.warning("%s failed, will be tried again: %s", what, error)
    except Exception:
        log.exception("%s failed", what)
    return False
