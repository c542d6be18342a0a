"""The options of `scnet.dask`: their defaults from Dask's configuration, and an answer for the words of other tools."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from ...errors import BadOption

Json = dict[str, Any]
SECTION = "scnet"  # of Dask's configuration: files in ~/.config/dask, DASK_SCNET__WALLTIME, dask.config.set
OURS: Json = {
    "cores": None, "memory": "", "gpus": 0, "walltime": "1h", "name": None, "centre": "", "project": "",
    "adaptive": None, "workers": None, "job_cores": 4,
}  # fmt: skip
# What users of dask-jobqueue, dask-gateway and Coiled write, and what to write here.
ELSEWHERE = {
    "account": "project=",
    "cluster_options": "the options of scnet.dask() themselves",
    "cost_limit": "budget=, in credits",
    "death-timeout": "death_timeout=",
    "env_extra": "nothing: workers have the session's environment",
    "environment": "nothing: workers have the session's environment",
    "image": "nothing: workers have the session's environment",
    "interface": "host=",
    "job_cpu": "job_cores=",
    "job_directives_skip": "nothing: the centre's page says what its jobs need",
    "job_extra": "nothing: the centre's page says what its jobs need",
    "job_extra_directives": "nothing: the centre's page says what its jobs need",
    "job_mem": "memory=, the total",
    "job_name": "name=",
    "job_script_prologue": "nothing: workers have the session's environment",
    "local_directory": "nothing: workers use the job's own temporary folder",
    "log_directory": "cluster.logs()",
    "maximum": "adaptive=(minimum, maximum)",
    "minimum": "adaptive=(minimum, maximum)",
    "n_workers": "workers=",
    "processes": "job_cores=: each job has one worker of as many threads",
    "python": "nothing: workers have the session's environment",
    "queue": "centre=",
    "region": "centre=",
    "scheduler_options": "host=, idle_timeout=",
    "security": "nothing: connections are always encrypted, with keys of the cluster's own",
    "shared_temp_directory": "nothing: keys are in no file",
    "shutdown_on_close": "nothing: the cluster ends with this kernel, as its scheduler is beside it",
    "silence_logs": "logging.getLogger('distributed')",
    "threads_per_worker": "job_cores=",
    "worker_cores": "job_cores=",
    "worker_extra_args": "worker_args=",
    "worker_memory": "memory=, the total",
}


def complete(given: Mapping[str, Any], config: Mapping[str, Any], cluster: type) -> tuple[Json, Json]:
    """Returns the options of `scnet.dask` and the further settings of `cluster`: those given (None: not given), else
    those of Dask's configuration, else ours. Raises BadOption for a word that nothing takes."""
    known = inspect.signature(cluster).parameters
    further = {name for name in known if name not in OURS and name not in ("client", "sizes")}
    chosen = {str(name).replace("-", "_"): value for name, value in config.items()}
    for source, names in ((f"{SECTION}: in Dask's configuration", chosen), ("scnet.dask()", given)):
        for name in names:
            if name not in OURS and name not in further:
                raise BadOption(f"{source} takes no {name!r}.", hint=_instead(name, further))
    chosen |= {name: value for name, value in given.items() if value is not None}
    ours = {name: chosen.get(name, value) for name, value in OURS.items()}
    return ours, {name: value for name, value in chosen.items() if name in further}


def _instead(name: str, further: set[str]) -> str:
    if name in ELSEWHERE:
        return f"Use {ELSEWHERE[name]}."
    return f"Options: {', '.join([*OURS, *sorted(further)])}."
