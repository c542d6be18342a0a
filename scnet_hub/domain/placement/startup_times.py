"""Learns how long a session takes at a centre from its job's start until it is ready.

By centre and app (the environment), from the most recent sessions: a centre's new file system counts within a day.
Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import median

LAST, LEAST = 50, 5


def learn(samples: Iterable[tuple[str, str, float]]) -> dict[tuple[str, str], float]:
    """Returns median seconds by (centre, app) of the last 50 samples; no entry for fewer than 5. `samples` (centre,
    app, seconds) are ordered newest first."""
    found: dict[tuple[str, str], list[float]] = {}
    for centre, app, seconds in samples:
        kept = found.setdefault((centre, app), [])
        if len(kept) < LAST:
            kept.append(seconds)
    return {key: median(kept) for key, kept in found.items() if len(kept) >= LEAST}


def of_app(learned: Mapping[tuple[str, str], float], app: str) -> dict[str, float]:
    """Returns the seconds by centre, for sessions of that app."""
    return {centre: seconds for (centre, one), seconds in learned.items() if one == app}
