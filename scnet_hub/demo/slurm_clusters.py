"""Real Slurm clusters on one machine, without privileges: `make demo CENTRES=slurm` and the conformance tests.

Each `SlurmCluster` is a slurmctld and a slurmd per node from Debian's packages, on loopback, with all state in one
folder. No munge (`auth/none`), no limits on processes, no database: any local process may submit, so never for two
people on one host. Nodes have as many cores as their page says, whatever the machine has.
"""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..domain.standard.centre_writer import CentrePage
from ..errors import SpecError
from ..units import format_walltime, parse_walltime

INSTALL = "apt-get install -y slurm-wlm slurm-client"
DAEMONS = ("slurmctld", "slurmd", "sinfo")
# a user's PATH may lack sbin
FOLDERS = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"))
DEVICES = ("/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
CONF = """\
ClusterName={name}
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/none
CredType=cred/none
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
StateSaveLocation={home}/state
SlurmdSpoolDir={home}/spool-%n
SlurmctldPidFile={home}/slurmctld.pid
SlurmdPidFile={home}/slurmd-%n.pid
SlurmctldLogFile={home}/slurmctld.log
SlurmdLogFile={home}/slurmd-%n.log
SlurmdParameters=config_overrides
MpiDefault=none
ReturnToService=2
JobRequeue=0
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
# Without this every daemon listens on all addresses.
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
# There is no slurmdbd: ended jobs stay in slurmctld's memory, so that they can be charged after a long outage.
MinJobAge=604800
KillWait=3
MessageTimeout=5
EnforcePartLimits=ALL
SchedulerParameters=batch_sched_delay=0,bf_interval=2
DefMemPerCPU={memory_per_core}
"""


@dataclass(frozen=True, slots=True)
class SlurmCluster:
    """`memory` is bytes and `gpus` the number of one node; `home` holds everything, logs included."""

    home: Path
    name: str = "alpha"
    nodes: int = 2
    cores: int = 4
    memory: int = 8 * 2**30
    gpus: int = 0
    gpu_model: str = ""
    partition: str = "main"
    max_walltime: str = "4h"

    @property
    def conf(self) -> Path:
        return self.home / "slurm.conf"

    @property
    def environment(self) -> dict[str, str]:
        """Returns the environment that a client of this cluster needs."""
        return {"SLURM_CONF": str(self.conf)}

    def node_names(self) -> list[str]:
        return [f"{self.name}{number}" for number in range(1, self.nodes + 1)]

    def start(self, *, timeout: float = 30) -> None:
        """Starts the daemons and waits until all nodes accept jobs; does nothing if they do. Raises SpecError."""
        require_slurm()
        if self.answers():
            return
        self.stop()
        self._prepare()
        run("slurmctld", environment=self.environment)
        for node in self.node_names():
            run("slurmd", "-N", node, environment=self.environment)
        deadline = time.monotonic() + timeout
        while not self.answers():
            if time.monotonic() > deadline:
                raise SpecError(
                    f"the Slurm cluster {self.name} did not come up within {timeout:g} s.",
                    hint=f"See {self.home}/slurmctld.log.",
                )
            time.sleep(0.05)

    def answers(self) -> bool:
        """Returns whether all nodes accept jobs."""
        if not (self.home / "slurmctld.pid").exists():
            return False
        done = subprocess.run(
            [find("sinfo"), "--noheader", "--Node", "--format=%T"],
            env={**os.environ, **self.environment}, capture_output=True, text=True, timeout=15,
        )  # fmt: skip
        states = done.stdout.split()
        return (
            done.returncode == 0
            and len(states) == self.nodes
            and set(states) <= {"idle", "mixed", "allocated", "completing", "planned"}
        )

    def stop(self, *, cancel_jobs: bool = True, timeout: float = 10) -> None:
        """Cancels all jobs, then ends the daemons that wrote the pid files here."""
        if cancel_jobs and self._pids():
            self._cancel_all(timeout)
        pids = self._pids()
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + timeout
        while (left := [pid for pid in pids if self._is_ours(pid)]) and time.monotonic() < deadline:
            time.sleep(0.02)
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _cancel_all(self, timeout: float) -> None:
        with suppress(SpecError, subprocess.TimeoutExpired):
            run("scancel", "--state=PENDING", environment=self.environment)
            run("scancel", "--user", getpass.getuser(), environment=self.environment)
            deadline = time.monotonic() + timeout
            while (
                run("squeue", "--noheader", "--format=%A", environment=self.environment).strip()
                and time.monotonic() < deadline
            ):
                time.sleep(0.05)

    def controller(self) -> int:
        """Returns the pid of slurmctld."""
        return int((self.home / "slurmctld.pid").read_text())

    def _pids(self) -> list[int]:
        """Returns the pids of the daemons with pid files here, if these pids still belong to them."""
        found = []
        for path in sorted(self.home.glob("slurm*.pid")):
            with suppress(ValueError, OSError):
                found.append(int(path.read_text()))
        return [pid for pid in found if self._is_ours(pid)]

    def _is_ours(self, pid: int) -> bool:
        try:
            return b"slurm" in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False

    def _prepare(self) -> None:
        if self.gpus > len(DEVICES):
            raise SpecError(f"the Slurm cluster {self.name}: at most {len(DEVICES)} GPUs can be pretended on a node.")
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in ("state", *(f"spool-{node}" for node in self.node_names())):
            (self.home / name).mkdir(exist_ok=True)
        ports = free_ports(1 + self.nodes)
        megabytes = self.memory // 2**20
        gres = ":".join(filter(None, ("gpu", self.gpu_model, str(self.gpus)))) if self.gpus else ""
        lines = [
            CONF.format(
                name=self.name,
                port=ports[0],
                user=getpass.getuser(),
                home=self.home,
                memory_per_core=max(1, megabytes // self.cores),
            ),
            *(["GresTypes=gpu"] if gres else []),
        ]
        for node, port in zip(self.node_names(), ports[1:], strict=True):
            size = f"CPUs={self.cores} RealMemory={megabytes}" + (f" Gres={gres}" if gres else "")
            lines.append(f"NodeName={node} NodeAddr=127.0.0.1 NodeHostname={socket.gethostname()} Port={port} {size}")
        limit = format_walltime(parse_walltime(self.max_walltime))
        lines.append(f"PartitionName={self.partition} Nodes=ALL Default=YES MaxTime={limit} State=UP")
        self.conf.write_text("\n".join(lines) + "\n")
        (self.home / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
        if gres:
            self._pretend_gpus()

    def _pretend_gpus(self) -> None:
        """Gives each GPU a device: with only a count, or with plain files, Slurm sets no CUDA_VISIBLE_DEVICES. Nothing
        is read from the devices, and without cgroups every job can open them."""
        model = f" Type={self.gpu_model}" if self.gpu_model else ""
        lines = [f"Name=gpu{model} File={device}" for device in DEVICES[: self.gpus]]
        (self.home / "gres.conf").write_text("\n".join(lines) + "\n")


def centre_toml(cluster: SlurmCluster, **page: Any) -> str:
    """Returns the `centre.toml` of such a cluster; `page` is the rest of the arguments of `CentrePage`."""
    partition = {
        "name": cluster.partition, "nodes": cluster.nodes, "cores": cluster.cores, "memory": cluster.memory,
        "gpus": cluster.gpus, "gpu_model": cluster.gpu_model, "max_walltime": cluster.max_walltime,
    }  # fmt: skip
    return CentrePage(
        id=cluster.name, accounting="scontrol", transport={"kind": "local", "environment": cluster.environment},
        partition=partition, host="127.0.0.1", memory_per_core=cluster.memory // cluster.cores, **page,
    ).text()  # fmt: skip


def require_slurm() -> None:
    """Raises SpecError with the command to install Slurm if its programs are missing."""
    for program in DAEMONS:
        find(program)


def find(program: str) -> str:
    path = shutil.which(program, path=FOLDERS)
    if path is None:
        raise SpecError(f"Slurm is not installed: {program} is missing here.", hint=f"Install it: {INSTALL}")
    return path


def run(program: str, *arguments: str, environment: dict[str, str]) -> str:
    """Runs a program and returns its output. Raises SpecError with its message."""
    # Daemons keep what they inherit: their output goes nowhere, not into a pipe that would never end.
    pipe = subprocess.DEVNULL if program.startswith("slurm") else subprocess.PIPE
    done = subprocess.run(
        [find(program), *arguments], env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=pipe,
        stderr=pipe, text=True, timeout=30, cwd="/",
    )  # fmt: skip
    if done.returncode:
        raise SpecError(f"{program} failed: {(done.stderr or 'see its log').strip()}")
    return done.stdout or ""


def free_ports(count: int) -> list[int]:
    """Returns loopback ports that are free now."""
    with ExitStack() as opened:
        sockets = [opened.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
