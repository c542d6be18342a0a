"""Dask on the federation: `dask(cores=8)` returns a cluster whose workers are sessions at the centre that starts
soonest.

Needs the `notebook` extra (distributed, dask-jobqueue). Everything heavy is imported on the first call.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from .listing import list_clusters, stop

if TYPE_CHECKING:
    from ..rest import Client
    from .cluster import FederatedCluster
    from .sizes import Adaptive


def dask(
    cores: int | None = None,
    memory: str | int | None = None,
    gpus: int | None = None,
    walltime: str | float | timedelta | None = None,
    name: str | None = None,
    centre: str | None = None,
    project: str | None = None,
    adaptive: Adaptive = None,
    *,
    workers: int | None = None,
    job_cores: int | None = None,
    client: Client | None = None,
    **settings: Any,
) -> FederatedCluster:
    """Starts a Dask cluster of `cores` cores on the centre that has most of its jobs soonest. Returns at once, without
    waiting in a queue.

    cores      the total (default: 8); split into jobs of at most `job_cores` (4), each with one worker of as many
               threads
    workers    instead of cores, or with cores: the number of jobs
    memory     the total ("32G"); default: the centre's share for the cores
    gpus       the total; one job for each GPU
    walltime   of each job ("2h"; default: "1h"); a worker retires before its walltime ends and is replaced
    centre     pins the centre; default: where most of the jobs start soon, and if it takes no more jobs, the next
    adaptive   True: from no job to all jobs, as the work needs; (1, 6): from one job to six
    settings   see FederatedCluster: budget, idle_timeout, restarts, death_timeout, asynchronous, ...

    Defaults for all of them may stand under `scnet` in Dask's configuration: dask.config.set({"scnet.walltime": "2h"}).

    Raises the broker's refusal (OverQuota, Overdrawn, NoPlacement, BadOption, ...) if the first job is refused.
    """
    from dask import config

    from ..rest import shared_client
    from .cluster import FederatedCluster
    from .settings import SECTION, complete
    from .sizes import split

    given = {
        "cores": cores, "memory": memory, "gpus": gpus, "walltime": walltime, "name": name, "centre": centre,
        "project": project, "adaptive": adaptive, "workers": workers, "job_cores": job_cores, **settings,
    }  # fmt: skip
    ours, further = complete(given, config.get(SECTION, None) or {}, FederatedCluster)
    if ours["cores"] is None and ours["workers"] is None and not ours["gpus"]:
        ours["cores"] = 8
    sizes = split(ours["cores"], ours["memory"], ours["gpus"], most=ours["job_cores"], workers=ours["workers"])
    same = {name: ours[name] for name in ("name", "walltime", "centre", "project", "adaptive")}
    return FederatedCluster(client or shared_client(), sizes, **same, **further)


dask.list, dask.stop = list_clusters, stop  # type: ignore[attr-defined]  # scnet.dask.list(), scnet.dask.stop("thesis")
