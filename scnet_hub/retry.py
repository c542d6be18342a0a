"""When a call that the broker put off is sent again. It did nothing of it, so any call may be."""

from __future__ import annotations

import random
from collections.abc import Mapping

TRIES = 3
LONGEST = 10.0  # seconds of one pause
PUT_OFF = (429, 503)


def retry_after(status: int, headers: Mapping[str, str]) -> float | None:
    """Seconds until the call is sent again: as many as the answer says, and up to half as many more, so that many who were put off together
    don't come back together. None: it is not sent again."""
    said = headers.get("retry-after", "")
    if status not in PUT_OFF or not (said.isascii() and said.isdecimal()) or not 0 < int(said) <= LONGEST:
        return None
    return int(said) * random.uniform(1.0, 1.5)
