"""The cluster's scheduler, beside the kernel: Dask's own, which restarts workers in their jobs instead of ending the
jobs."""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-call"
import time
from datetime import timedelta
from typing import Any

from distributed import Scheduler
from distributed.security import Security

from ...units import parse_walltime


class ClusterScheduler(Scheduler):
    """`restarted_at` says by name when a worker was last restarted (monotonic seconds)."""

    restarted_at: dict[Any, float]

    def __init__(self, *args: Any, **settings: Any) -> None:
        self.restarted_at = {}
        super().__init__(*args, **settings)

    async def restart_workers(self, workers: list[str] | None = None, **settings: Any) -> Any:
        """Restarts workers (all by default). A worker without a nanny would leave, and its job end: each is told first
        to start its process again (node/dask_worker.py)."""
        for address in [*self.workers] if workers is None else [one for one in workers if one in self.workers]:
            self.restarted_at[self.workers[address].name] = time.monotonic()
            self.stream_comms[address].send({"op": "start_again"})
        return await super().restart_workers(workers, **settings)


def scheduler_spec(host: str, tls: Security, idle_timeout: str | float | timedelta | None) -> dict[str, Any]:
    """Returns the specification of a scheduler that listens on `host` and closes after that time without work (None:
    never). Its dashboard listens on loopback only. Raises BadOption."""
    idle = parse_walltime(idle_timeout, option="idle_timeout").total_seconds() if idle_timeout else None
    listen = {"host": host, "port": 0, "protocol": "tls://", "dashboard_address": "127.0.0.1:0"}
    return {"cls": ClusterScheduler, "options": {**listen, "security": tls, "idle_timeout": idle}}
