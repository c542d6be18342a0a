"""The differences between schedulers when they are started, checked, broken and repaired: commands, as facts.

Knows no centre. `{node}` stands for a node's name, `{partition}` for a partition's.
"""

from __future__ import annotations

from dataclasses import dataclass, field

SGE = {"SGE_ROOT": "/var/lib/gridengine", "SGE_CELL": "default"}


@dataclass(frozen=True, kw_only=True)
class Kind:
    client: str  # Debian's package of the people's commands
    controller: tuple[str, ...]
    controller_pid: str
    start_node: tuple[str, ...]
    node_pid: str
    usable: tuple[str, ...]
    drain: tuple[str, ...]
    resume: tuple[str, ...]
    submit: str
    partition: dict[str, tuple[str, ...]] = field(default_factory=dict)  # state → command; `{partition}` is its name
    environment: dict[str, str] = field(default_factory=dict)


def _shell(text: str) -> tuple[str, ...]:
    return ("sh", "-c", text)


KINDS: dict[str, Kind] = {
    "slurm": Kind(
        client="slurm-client",
        controller=("slurmctld",),
        controller_pid="/run/slurm/slurmctld.pid",
        start_node=("slurmd", "-N", "{node}"),
        node_pid="/run/slurm/slurmd-{node}.pid",
        usable=_shell(
            "states=$(sinfo -hN -p batch -o %T) && ! echo \"$states\" | grep -qvE '^(idle|mixed|allocated)$'"
        ),
        drain=("scontrol", "update", "nodename={node}", "state=drain", "reason=maintenance"),
        resume=("scontrol", "update", "nodename={node}", "state=resume"),
        submit="sbatch",
        partition={
            state: ("scontrol", "update", "partitionname={partition}", f"state={state}")
            for state in ("up", "down", "inactive")
        },
    ),
    "gridengine": Kind(
        client="gridengine-client",
        controller=("env", "SGE_QMASTER_PIDFILE=/run/gridengine/qmaster.pid", "sge_qmaster"),
        controller_pid="/run/gridengine/qmaster.pid",
        start_node=("env", "SGE_EXECD_PIDFILE=/run/gridengine/execd-{node}.pid", "sge_execd"),
        node_pid="/run/gridengine/execd-{node}.pid",
        usable=_shell(
            """hosts=$(qhost) && echo "$hosts" | awk 'NR > 3 && $4 == "-" {silent = 1} END {exit silent || NR < 4}'"""
        ),
        drain=("runuser", "-u", "sgeadmin", "--", "qmod", "-d", "*@{node}"),
        resume=("runuser", "-u", "sgeadmin", "--", "qmod", "-e", "*@{node}"),
        submit="qsub",
        partition={
            state: ("runuser", "-u", "sgeadmin", "--", "qmod", option, "{partition}")
            for state, option in (("up", "-e"), ("down", "-d"))
        },
        environment=SGE,
    ),
    "oar": Kind(
        client="oar-user",
        controller=("/usr/sbin/oar-server",),
        controller_pid="/run/oar-server.pid",
        start_node=("/usr/sbin/sshd", "-f", "/etc/oar/sshd_config", "-o", "PidFile=/run/oar-{node}.pid"),
        node_pid="/run/oar-{node}.pid",
        usable=_shell(
            'states=$(oarnodes -s) && echo "$states" | grep -q Alive && ! echo "$states" | grep -qE '
            "'Suspected|Absent|Dead'"
        ),
        drain=("oarnodesetting", "-h", "{node}", "-p", "drain=YES"),
        resume=("oarnodesetting", "-h", "{node}", "-p", "drain=NO"),
        submit="oarsub",
    ),
}
