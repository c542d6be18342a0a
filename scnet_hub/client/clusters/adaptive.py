"""Adaptive scaling for queues: slow to shrink, and careful after failed starts.

Stock Dask reckons in seconds, because clouds start workers in seconds; a job that waits in a queue is costly to lose.
Hence longer times (TU Wien 2026, and seamless#261 for the duration of unknown tasks).
"""

from __future__ import annotations

from typing import Any

from distributed.deploy.adaptive import Adaptive

DEFAULTS: dict[str, Any] = {"interval": "10s", "wait_count": 30, "target_duration": "120s"}
UNKNOWN_TASK_S = 60.0


class FederatedAdaptive(Adaptive):
    """Grows only while starts succeed (within the cluster's restart budget) and leaves the retirement of workers to the
    cluster: a worker that both its scheduler and a SIGTERM tell to close can hang until it is killed."""

    async def scale_up(self, n: Any) -> None:
        self.cluster.grow(n)  # type: ignore[attr-defined]

    async def scale_down(self, workers: Any) -> None:
        if workers:
            await self.cluster.scale_down(workers)  # type: ignore[attr-defined]
