"""Determines when a call is repeated that the broker postponed. The broker did nothing for that call, so any call may
be repeated."""

from __future__ import annotations

import random
from collections.abc import Mapping

TRIES = 3
LONGEST = 10.0  # the longest pause in seconds
PUT_OFF = (429, 503)


def retry_after(status: int, headers: Mapping[str, str]) -> float | None:
    """Returns the seconds until the call is repeated: the seconds in the answer, and up to half as many more, so that
    callers who were postponed together don't return together. None: the call is not repeated."""
    said = headers.get("retry-after", "")
    if status not in PUT_OFF or not (said.isascii() and said.isdecimal()) or not 0 < int(said) <= LONGEST:
        return None
    return int(said) * random.uniform(1.0, 1.5)
