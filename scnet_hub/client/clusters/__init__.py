"""Dask on the federation: `dask(cores=8)` returns a cluster whose workers are sessions at the centre that starts
soonest.

Needs the `notebook` extra (distributed, dask-jobqueue). Everything heavy is imported on the first call.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ..rest import Client
from .sizes import Adaptive

if TYPE_CHECKING:
    from .cluster import FederatedCluster


def dask(
    cores: int = 8,
    memory: str | int = "",
    gpus: int = 0,
    walltime: str | float | timedelta = "1h",
    name: str | None = None,
    centre: str = "",
    project: str = "",
    adaptive: Adaptive = None,
    *,
    job_cores: int = 4,
    client: Client | None = None,
    **settings: Any,
) -> FederatedCluster:
    """Starts a Dask cluster of `cores` cores on the centre that has most of its jobs soonest. Returns at once, without
    waiting in a queue.

    cores      the total; split into jobs of at most `job_cores`, each with one worker of as many threads
    memory     the total ("32G"); default: the centre's share for the cores
    gpus       the total; one job for each GPU
    walltime   of each job ("2h"); a worker retires before its walltime ends and is replaced
    centre     pins the centre; default: where most of the jobs start soon, and if it takes no more jobs, the next
    adaptive   True: from no job to all jobs, as the work needs; (1, 6): from one job to six
    settings   see FederatedCluster: idle_timeout, restarts, death_timeout, dashboard, ...

    Raises the broker's refusal (OverQuota, Overdrawn, NoPlacement, BadOption, ...) if the first job is refused.
    """
    from ..rest import shared_client
    from .cluster import FederatedCluster
    from .sizes import split

    sizes = split(cores, memory, gpus, most=job_cores)
    return FederatedCluster(
        client or shared_client(),
        sizes,
        name=name,
        walltime=walltime,
        centre=centre,
        project=project,
        adaptive=adaptive,
        **settings,
    )
