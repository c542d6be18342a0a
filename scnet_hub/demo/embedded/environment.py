"""The environment of a job of an embedded centre: the submitter's variables, and the variables that Slurm sets about a
job.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .formatting import hosts
from .scheduler import Job, Node
from .settings import Settings

LOGIN = ("HOME", "LANG", "LOGNAME", "PATH", "SHELL", "TMPDIR", "USER")
MIB = 2**20


def login() -> dict[str, str]:
    """Returns the environment of a login of the centre's user: the whole environment of a job whose submitter passes
    nothing on."""
    return {key: os.environ[key] for key in LOGIN if key in os.environ}


def bare(commands: Path) -> dict[str, str]:
    """Returns the environment for a submitter that sends none: a login with this centre's commands, able to import the
    daemon's packages."""
    kept = {**login(), **{key: os.environ[key] for key in ("PYTHONPATH",) if key in os.environ}}
    return {**kept, "PATH": with_commands(kept.get("PATH", ""), commands)}


def with_commands(path: str, commands: Path) -> str:
    """Returns PATH with the folder of this centre's commands: at its place if it is there already, else first."""
    folders = (path or os.defpath).split(os.pathsep)
    return path if str(commands) in folders else os.pathsep.join([str(commands), *folders])


def of_job(
    job: Job, given: Mapping[str, str], settings: Settings, nodes: Mapping[str, Node], commands: Path
) -> dict[str, str]:
    """Returns the whole environment of a job that starts now. `commands` is the folder of this centre's commands."""
    names = [spot.node for spot in job.spots]
    facts: dict[str, Any] = {
        "SLURM_JOB_ID": job.id, "SLURM_JOBID": job.id, "SLURM_JOB_NAME": job.name, "SLURM_JOB_PARTITION": job.partition,
        "SLURM_JOB_USER": job.user, "SLURM_JOB_UID": os.getuid(), "SLURM_JOB_GID": os.getgid(),
        "SLURM_JOB_QOS": "normal", "SLURM_CLUSTER_NAME": settings.name, "SLURM_SUBMIT_DIR": job.directory,
        "SLURM_SUBMIT_HOST": socket.gethostname(), "SLURM_JOB_NODELIST": hosts(names), "SLURM_NODELIST": hosts(names),
        "SLURM_JOB_NUM_NODES": len(names), "SLURM_NNODES": len(names), "SLURMD_NODENAME": names[0], "SLURM_NODEID": 0,
        "SLURM_PROCID": 0, "SLURM_LOCALID": 0, "SLURM_GTIDS": 0, "SLURM_NTASKS": job.tasks, "SLURM_NPROCS": job.tasks,
        "SLURM_TASKS_PER_NODE": repeated(job.tasks, len(names)), "SLURM_CPUS_PER_TASK": job.cores_per_task,
        "SLURM_CPUS_ON_NODE": job.need.cores, "SLURM_JOB_CPUS_PER_NODE": repeated(job.cores, len(names)),
        "SLURM_MEM_PER_NODE": job.need.memory // MIB, "ENVIRONMENT": "BATCH",
        "SCNET_NODE_ADDRESS": nodes[names[0]].address, "PATH": with_commands(given.get("PATH", ""), commands),
    }  # fmt: skip
    if job.account:
        facts["SLURM_JOB_ACCOUNT"] = job.account
    if job.need.gpus:
        mine = ",".join(str(gpu) for gpu in job.spots[0].gpus)
        facts |= {"CUDA_VISIBLE_DEVICES": mine, "SLURM_JOB_GPUS": mine, "SLURM_GPUS_ON_NODE": job.need.gpus}
    return {**given, **settings.environment, **{key: str(value) for key, value in facts.items()}}


def per_node(number: int, nodes: int) -> list[int]:
    """Splits a number of tasks or cores in blocks: the first nodes have one more."""
    return [number // nodes + (place < number % nodes) for place in range(nodes)]


def repeated(number: int, nodes: int) -> str:
    """Returns Slurm's notation 2(x3),1 for the numbers of each node."""
    numbers = per_node(number, nodes)
    counts = {one: numbers.count(one) for one in numbers}
    return ",".join(f"{one}(x{times})" if times > 1 else str(one) for one, times in counts.items())


def file_name(pattern: str, job: Job) -> str:
    """Fills in the patterns of --output: %j %A %J id, %x name, %u user, %N node, %n %t %s; `%%` is one %."""
    values = {
        "j": job.id, "A": job.id, "J": job.id, "x": job.name, "u": job.user, "N": job.spots[0].node, "n": 0, "t": 0,
        "s": "batch", "%": "%",
    }  # fmt: skip
    return re.sub("%(.)", lambda match: str(values.get(match[1], match[0])), pattern)
