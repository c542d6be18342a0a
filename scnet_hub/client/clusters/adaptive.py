"""Adaptive scaling for queues: slow to shrink, mindful of failed starts.

Stock Dask thinks in seconds, as clouds start workers; a job that waits in a queue is dear to lose. Hence longer times
(TU Wien 2026, and seamless#261 for the duration of unknown tasks).
"""

from __future__ import annotations

from typing import Any

from distributed.deploy.adaptive import Adaptive

DEFAULTS: dict[str, Any] = {"interval": "10s", "wait_count": 30, "target_duration": "120s"}
UNKNOWN_TASK_S = 60.0


class FederatedAdaptive(Adaptive):
    """Grows only while starts succeed (the cluster's restart budget binds it too) and leaves the retiring of workers to
    the cluster: a worker that both its scheduler and a SIGTERM tell to close can hang until it is killed."""

    async def scale_up(self, n: Any) -> None:
        self.cluster.grow(n)  # type: ignore[attr-defined]

    async def scale_down(self, workers: Any) -> None:
        if workers:
            await self.cluster.scale_down(workers)  # type: ignore[attr-defined]
