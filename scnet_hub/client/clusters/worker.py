"""Defines how a cluster's workers are started: what all their commands and environments have in common."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from distributed.security import Security

from ...units import format_walltime

Json = dict[str, Any]
PRELOAD = "scnet_hub.node.dask_worker"
# Dask's threads already run in parallel
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS")}


def worker_env(tls: Security) -> Mapping[str, str]:
    """Returns a worker's environment: the kernel's folder, in which the worker works too if its node has that; the
    cluster's short-lived key and certificate, which stay in memory, never in a file or an argv."""
    keys = tls.get_tls_config_for_role("worker")  # type: ignore[no-untyped-call]
    prefix = "DASK_DISTRIBUTED__COMM__"
    return {
        f"{prefix}TLS__CA_FILE": keys["ca_file"],
        f"{prefix}TLS__WORKER__CERT": keys["cert"],
        f"{prefix}TLS__WORKER__KEY": keys["key"],
        f"{prefix}REQUIRE_ENCRYPTION": "True",
        "SCNET_FOLDER": _folder(),
        **ONE_THREAD,
    }


def _folder() -> str:
    """Returns this process's working folder; "" if the folder has been deleted."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""


def retires_before(walltime: timedelta) -> float:
    """Returns how many seconds before the end of its walltime a worker retires by itself."""
    return min(300.0, walltime.total_seconds() / 10)


def job_options(walltime: timedelta, death_timeout: float, worker_args: Sequence[str]) -> Json:
    """Returns what all jobs have in common. Workers retire a tenth of the walltime (at most 5 min) before its end, not
    all at once. No nanny (the process starts again by itself: half the processes), no dashboards."""
    margin = retires_before(walltime)
    lifetime = ["--lifetime", f"{walltime.total_seconds() - margin:.0f}s", "--lifetime-stagger", f"{margin / 2:.0f}s"]
    return {
        "walltime": format_walltime(walltime),
        "nanny": False,
        "death_timeout": death_timeout,
        "protocol": "tls://",
        "worker_extra_args": ["--no-dashboard", "--preload", PRELOAD, *lifetime, *worker_args],
        "session_id": "",
    }
