"""The federation's time zone for the hub's pages: read from the broker once, when the hub starts.

Pages print times in this zone; the browser shows them in the person's own zone, with this zone in the tooltip
(scnet-times.js).
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from ...errors import ScnetError
from ..broker_client import Broker

log = logging.getLogger(__name__)
VARIABLE = "scnet_zone"  # of every template
AGAIN = 10.0  # seconds, while the broker does not answer


async def learn(template_vars: dict[str, Any], broker: Broker, again: float = AGAIN) -> None:
    """Asks the broker until it answers; until then pages show UTC."""
    while VARIABLE not in template_vars:
        try:
            template_vars[VARIABLE] = str((await broker.call("GET", "me", "", timeout=5))["time_zone"])
        except (ScnetError, KeyError):
            await asyncio.sleep(again)
