"""srun of an embedded centre: in a job, the tasks to start and their environment; outside, the job that srun waits for.

The tasks themselves are started where srun was called (`tasks.py`): every node of an embedded centre is this
machine.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .command_options import Complaint
from .environment import per_node, repeated
from .formatting import hosts
from .request import Answer, Call, Controller
from .sbatch_options import Where, count, exported, submission
from .scheduler import Job, Spot, Step

PIPES = "SCNET_SRUN_PIPES"  # the folder with the FIFOs of an srun outside a job
STAYS = ("SLURM", "SCNET", "CUDA_VISIBLE_DEVICES", "PATH", "HOME")  # variables that a task gets whatever --export says


def srun(call: Call, centre: Controller) -> Answer:
    if not call.rest:
        return Answer(1, "", "srun: fatal: No command given to execute.\n")
    if call.given.get("mpi", "none") != "none":
        raise Complaint(
            f"Couldn't find the specified plugin name for mpi/{call.given['mpi']} looking at all files",
            "Only --mpi=none is known here.",
        )
    environment = call.question.environment
    if "SLURM_JOB_ID" in environment:
        return _step(call, _job(environment["SLURM_JOB_ID"], centre), centre)
    return _allocate(call, centre)


def _job(number: str, centre: Controller) -> Job:
    job = next((job for job in centre.running() if str(job.id) == number), None)
    if job is None or job.ending or job.pretend:
        raise Complaint(
            f"Unable to confirm allocation for job {number}: Invalid job id specified",
            f"Check SLURM_JOB_ID environment variable. Expired or invalid job {number}",
        )
    return job


def _step(call: Call, job: Job, centre: Controller) -> Answer:
    tasks, nodes, each, warning = _size(call, job)
    spots = job.spots[:nodes]
    name = os.path.basename(call.given.get("job-name", call.rest[0]))
    planned = Step(name=name, tasks=tasks, nodes=tuple(spot.node for spot in spots), cores=tasks * each)
    step = centre.begin_step(job, planned)
    run = {
        "job": job.id, "step": step.id, "name": job.name, "user": job.user, "argv": list(call.rest),
        "directory": os.path.join(call.question.directory, call.given.get("chdir", "")),
        "environment": {**_kept(call), **_facts(job, step, each)}, "tasks": _tasks(spots, tasks, centre),
        "label": "label" in call.given, "quiet": "quiet" in call.given,
        "kill": call.given.get("kill-on-bad-exit", "0") in ("", "1"), "output": call.given.get("output", ""),
        "errors": call.given.get("error", ""),
    }  # fmt: skip
    return Answer(0, "", warning, run)


def _size(call: Call, job: Job) -> tuple[int, int, int, str]:
    """Returns tasks, nodes and cores per task of the step, and a warning. Raises Complaint if the job has not that
    much."""
    asked = call.given
    nodes = count(asked, "nodes", job.need.nodes)
    default = nodes * count(asked, "ntasks-per-node", 1) if "ntasks-per-node" in asked else job.tasks
    tasks, each = count(asked, "ntasks", default), count(asked, "cpus-per-task", job.cores_per_task)
    if nodes > job.need.nodes:
        raise Complaint(f"Only allocated {job.need.nodes} nodes asked for {nodes}")
    if tasks * each > job.cores:
        raise Complaint(f"Unable to create step for job {job.id}: More processors requested than permitted")
    if tasks < nodes:
        return (
            tasks,
            tasks,
            each,
            f"srun: Warning: can't run {tasks} processes on {nodes} nodes, setting nnodes to {tasks}\n",
        )
    return tasks, nodes, each, ""


def _kept(call: Call) -> dict[str, str]:
    environment = call.question.environment
    wanted = call.given.get("export", "ALL")
    if wanted == "ALL":
        return dict(environment)
    always = {key: value for key, value in environment.items() if key.startswith(STAYS)}
    return {**always, **exported(wanted, environment)}


def _facts(job: Job, step: Step, each: int) -> dict[str, str]:
    shares = repeated(step.tasks, len(step.nodes))
    return {
        "SLURM_STEP_ID": str(step.id), "SLURM_STEPID": str(step.id), "SLURM_STEP_NODELIST": hosts(step.nodes),
        "SLURM_STEP_NUM_NODES": str(len(step.nodes)), "SLURM_STEP_NUM_TASKS": str(step.tasks),
        "SLURM_STEP_TASKS_PER_NODE": shares, "SLURM_NTASKS": str(step.tasks), "SLURM_NPROCS": str(step.tasks),
        "SLURM_CPUS_PER_TASK": str(each), "SLURM_TASKS_PER_NODE": shares, "SLURM_DISTRIBUTION": "block",
        "SLURM_LAUNCH_NODE_IPADDR": "127.0.0.1", "SLURM_SRUN_COMM_HOST": "127.0.0.1", "SLURM_JOB_ID": str(job.id),
    }  # fmt: skip


def _tasks(spots: Sequence[Spot], tasks: int, centre: Controller) -> list[Mapping[str, Any]]:
    addresses = {node.name: node.address for node in centre.nodes}
    found: list[Mapping[str, Any]] = []
    for place, (spot, here) in enumerate(zip(spots, per_node(tasks, len(spots)), strict=True)):
        first = len(found)
        same = {
            "SLURMD_NODENAME": spot.node, "SLURM_NODEID": str(place), "SCNET_NODE_ADDRESS": addresses[spot.node],
            "SLURM_GTIDS": ",".join(str(number) for number in range(first, first + here)),
            **({"CUDA_VISIBLE_DEVICES": ",".join(map(str, spot.gpus))} if spot.gpus else {}),
        }  # fmt: skip
        for local in range(here):
            environment = {**same, "SLURM_PROCID": str(first + local), "SLURM_LOCALID": str(local)}
            found.append({"node": spot.node, "rank": place, "environment": environment})
    return found


def _allocate(call: Call, centre: Controller) -> Answer:
    """Submits a job that runs this same srun, with its streams connected to the FIFOs of the waiting srun."""
    question = call.question
    pipes = question.environment.get(PIPES, "")
    if not re.fullmatch(r"/[^\0]+", pipes):
        raise Complaint("Unable to allocate resources: the caller made no pipes")
    environment = {key: value for key, value in question.environment.items() if key != PIPES}
    script = f"#!/bin/sh\nexec {shlex.join(question.argv)} <{shlex.quote(str(Path(pipes) / 'in'))}\n"
    resources = {key: value for key, value in call.given.items() if key in RESOURCES}
    options = [f"--{key}={value}" for key, value in resources.items()]
    options += [f"--output={_plain(pipes)}/out", f"--error={_plain(pipes)}/err"]
    if "job-name" not in resources:
        options.append(f"--job-name={os.path.basename(call.rest[0])}")
    where = Where(centre.owner.user, os.path.join(question.directory, call.given.get("chdir", "")), environment)
    return Answer(0, "", "", {"job": centre.submit(submission(options, script, "", centre.settings, where))})


def _plain(path: str) -> str:
    return path.replace("%", "%%")


RESOURCES = (
    "account", "cpus-per-task", "gpus", "gpus-per-node", "gres", "job-name", "mem", "mem-per-cpu", "nodes", "ntasks",
    "ntasks-per-node", "partition", "qos", "time",
)  # fmt: skip
