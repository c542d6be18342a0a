"""scontrol of an embedded centre: `ping`, `show job`, and host lists."""

from __future__ import annotations

import os
import socket

from .command_options import Complaint
from .formatting import (
    Moment,
    ends,
    gres,
    host_names,
    hosts,
    long_clock,
    min_cpus,
    nodes_of,
    priority,
    shown_state,
    size,
    starts,
)
from .request import Answer, Call, Controller, job_number, moment
from .scheduler import PENDING, Job

NO_SUCH_JOB = "slurm_load_jobs error: Invalid job id specified\n"


def scontrol(call: Call, centre: Controller) -> Answer:
    match [*call.rest]:
        case ["ping"]:
            return Answer(0, f"Slurmctld(primary) at {socket.gethostname()} is UP\n")
        case ["show", ("job" | "jobs"), *ids] if len(ids) < 2:
            return _show_job(call, centre, ids)
        case ["show", "hostnames", *lists] if len(lists) < 2:
            text = lists[0] if lists else call.question.environment.get("SLURM_JOB_NODELIST", "")
            if not text:
                return Answer(1, "", "Hostlist is empty\n")
            return Answer(0, "".join(f"{name}\n" for name in host_names(text)))
        case ["show", ("hostlist" | "hostlistsorted"), names]:
            return Answer(0, f"{hosts(host_names(names))}\n")
        case ["show", entity, *_]:
            return Answer(1, "", f"invalid entity:{entity} for keyword:show \n")
    return Answer(1, "", f"invalid keyword: {call.rest[0] if call.rest else ''}\n")


def _show_job(call: Call, centre: Controller, ids: list[str]) -> Answer:
    found = list(centre.queue(ended=True))
    if ids:
        try:
            number = job_number(ids[0], "")
        except Complaint:
            return Answer(1, "", "scontrol_print_job error: Invalid job id specified\n")
        found = [job for job in found if job.id == number]
        if not found:
            return Answer(1, "", NO_SUCH_JOB)
    elif not found:
        return Answer(0, "No jobs in the system\n")
    at = moment(call.question, centre)
    if "oneliner" in call.given:
        return Answer(0, "".join(f"{' '.join(_facts(job, at))} \n" for job in found))
    return Answer(0, "".join("\n   ".join(_facts(job, at)) + "\n   \n\n" for job in found))


def _facts(job: Job, at: Moment) -> list[str]:
    submitted, host = at.time(job.submitted_at), socket.gethostname()
    nodes = f"{job.need.nodes}-{job.need.nodes}" if job.state == PENDING and job.need.nodes > 1 else str(job.need.nodes)
    memory = (
        f"MinMemoryCPU={size(job.memory_per_core)}" if job.memory_per_core else f"MinMemoryNode={size(job.need.memory)}"
    )
    return [
        f"JobId={job.id} JobName={job.name}",
        f"UserId={job.user}({at.owner.uid}) GroupId={at.owner.group}({at.owner.gid}) MCS_label=N/A",
        f"Priority={priority(job)} Nice=0 Account={job.account or '(null)'} QOS=normal",
        f"JobState={shown_state(job)} Reason={job.reason or 'None'} Dependency=(null)",
        f"Requeue=0 Restarts=0 BatchFlag=1 Reboot=0 ExitCode={job.code}:{job.signal}",
        f"RunTime={long_clock(job.elapsed(at.now))} TimeLimit={long_clock(job.limit)} TimeMin=N/A",
        f"SubmitTime={submitted} EligibleTime={submitted}",
        f"AccrueTime={submitted}",
        f"StartTime={at.time(starts(job), 'Unknown')} EndTime={at.time(ends(job), 'Unknown')} Deadline=N/A",
        f"SuspendTime=None SecsPreSuspend=0 LastSchedEval={at.time(starts(job), 'Unknown')} Scheduler=Main",
        f"Partition={job.partition} AllocNode:Sid={host}:0",
        "ReqNodeList=(null) ExcNodeList=(null)",
        f"NodeList={nodes_of(job)}",
        *([f"BatchHost={job.spots[0].node}"] if job.spots else []),
        f"NumNodes={nodes} NumCPUs={job.cores} NumTasks={job.tasks} CPUs/Task={job.cores_per_task} ReqB:S:C:T=0:0:*:*",
        f"TRES={tres(job)}",
        f"Socks/Node=* NtasksPerN:B:S:C={job.tasks_per_node}:0:*:* CoreSpec=*",
        f"MinCPUsNode={min_cpus(job)} {memory} MinTmpDiskNode=0",
        "Features=(null) DelayBoot=00:00:00",
        "OverSubscribe=OK Contiguous=0 Licenses=(null) Network=(null)",
        f"Command={job.command or '(null)'}",
        f"WorkDir={job.directory}",
        *([f"Comment={job.comment} "] if job.comment else []),
        f"StdErr={_path(job, job.errors or job.output)}",
        "StdIn=/dev/null",
        f"StdOut={_path(job, job.output)}",
        "Power=",
        *([f"TresPerNode={gres(job)}"] if job.need.gpus else []),
    ]


def _path(job: Job, name: str) -> str:
    return os.path.join(job.directory, name.replace("%j", str(job.id)))


def tres(job: Job) -> str:
    gpus = f",gres/gpu={job.need.gpus * job.need.nodes}" if job.need.gpus else ""
    return (
        f"cpu={job.cores},mem={size(job.need.memory * job.need.nodes)},node={job.need.nodes},billing={job.cores}{gpus}"
    )
