"""The results of a run: waits, starts within a minute, copies, deaths, and the effect on the centres' own jobs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .run import Run

Json = dict[str, Any]


def waits(run: Run) -> list[float]:
    """Returns the seconds from click to start of every measured request, shortest first; a request that still waits
    counts until the end."""
    return sorted(
        (request.started_at if request.started_at is not None else run.now) - request.arrived
        for request in run.requests
    )


def summary(run: Run) -> Json:
    requests, sorted_waits = run.requests, waits(run)
    number = max(len(requests), 1)
    return {
        "wait_mean_s": round(sum(sorted_waits) / number, 3),
        "wait_p50_s": round(quantile(sorted_waits, 0.50), 3),
        "wait_p95_s": round(quantile(sorted_waits, 0.95), 3),
        "wait_p99_s": round(quantile(sorted_waits, 0.99), 3),
        "started_60s": round(sum(wait <= 60 for wait in sorted_waits) / number, 5),
        "submissions_per_request": round(sum(len(request.copies) for request in requests) / number, 4),
        "duplicate_starts_per_request": round(sum(request.duplicates for request in requests) / number, 5),
        "failed_start_share": round(sum(request.failures > 0 for request in requests) / number, 5),
        "background_wait_mean_s": round(sum(run.background_waits) / max(len(run.background_waits), 1), 2),
        "gave_up": sum(request.gave_up for request in requests),
    }


def quantile(ordered: Sequence[float], share: float) -> float:
    """Returns the smallest value that so large a share does not exceed; 0 for an empty list."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0
