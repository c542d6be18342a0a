"""The layout: the four centres, their nodes, accounts, hardware and addresses, as facts.

One constant, `HERE`, names all that the testbed makes on this machine: namespaces, links, the network. A second `Place`
is a second testbed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

SERVICE = "scnet"  # the federation's own account, at every centre


@dataclass(frozen=True)
class Place:
    """Names and addresses on this machine. `prefix` has at most 8 letters: an interface's name has at most 15."""

    prefix: str = "scnet"
    network: str = "10.78"

    @property
    def hub(self) -> str:
        return f"{self.network}.0.1"

    @property
    def bridge(self) -> str:
        return f"{self.prefix}-wan"

    @property
    def records(self) -> Path:
        """What runs, by pid: the machine's, like the namespaces, not one user's. Gone after `down`."""
        return Path("/run") / f"{self.prefix}-testbed"


HERE = Place()


@dataclass(frozen=True, kw_only=True)
class Centre:
    """One centre. Sizes are per node; memory in MiB. Accounts are the same two people's everywhere, under other
    names."""

    id: str
    index: int
    name: str
    organisation: str
    kind: Literal["slurm", "gridengine", "oar"]
    nodes: tuple[str, ...]
    cores: int
    memory: int
    gpus: int
    gpu_model: str
    partition: str
    core_hour: float
    gpu_hour: float
    uids: dict[str, int]
    people: dict[str, str]
    zone: str
    routed: bool = True  # False: only the login node is in reach of the hub, and nothing of the nodes
    identity: Literal["certificate", "service"] = "certificate"
    slurm_conf: str = ""
    slurmdbd_conf: str = ""
    admin_level: str = "None"

    @property
    def login(self) -> str:
        return f"{self.id}-login"

    def wan(self, place: Place) -> str:
        """The login node's address, as the hub sees it."""
        return f"{place.network}.0.{10 + self.index}"

    def lan(self, place: Place) -> str:
        """The first three numbers of the nodes' network: nodes are .1, .2, …, the login node is .254."""
        return f"{place.network}.{self.index}"

    def namespace(self, place: Place, node: str = "") -> str:
        return f"{place.prefix}-{self.id}" + (f"-{node}" if node else "")


CENTRES: dict[str, Centre] = {
    centre.id: centre
    for centre in (
        Centre(
            id="a", index=1, name="Alpha Computing Centre", organisation="Alpha University", kind="slurm",
            nodes=("a1", "a2", "a3"), cores=64, memory=256_000, gpus=4, gpu_model="a100", partition="batch",
            core_hour=1.0, gpu_hour=16.0, people={"ada": "ada", "grace": "grace"},
            uids={"ada": 20001, "grace": 20002, SERVICE: 20000}, zone="Asia/Shanghai",
            slurm_conf="EnforcePartLimits=ALL\nAccountingStorageEnforce=associations,limits,qos\nPrivateData=jobs,usage",
            slurmdbd_conf="PrivateData=jobs,usage", admin_level="Operator",
        ),
        Centre(
            id="b", index=2, name="Beta Supercomputing Centre", organisation="Beta Academy", kind="slurm",
            nodes=("b1", "b2"), cores=32, memory=128_000, gpus=2, gpu_model="v100", partition="batch", core_hour=0.5,
            gpu_hour=8.0, people={"ada": "u4711", "grace": "u4712"},
            uids={"u4711": 30007, "u4712": 30008, SERVICE: 30000}, zone="Asia/Kolkata", routed=False,
        ),
        Centre(
            id="c", index=3, name="Gamma Data Centre", organisation="Gamma Province", kind="gridengine",
            nodes=("c1", "c2"), cores=48, memory=196_608, gpus=4, gpu_model="", partition="all.q", core_hour=0.4,
            gpu_hour=6.0, people={"ada": "alovelace", "grace": "ghopper"},
            uids={"alovelace": 5003, "ghopper": 5004, SERVICE: 5000}, zone="America/New_York", identity="service",
        ),
        Centre(
            id="d", index=4, name="Delta Institute", organisation="Delta Foundation", kind="oar",
            nodes=("d1", "d2"), cores=8, memory=32_768, gpus=2, gpu_model="k80", partition="default", core_hour=0.3,
            gpu_hour=4.0, people={"ada": "lovela", "grace": "hopperg"},
            uids={"lovela": 7012, "hopperg": 7013, SERVICE: 7000}, zone="Europe/Paris",
        ),
    )
}  # fmt: skip


def state_folder() -> Path:
    """Where the centres' pages and keys lie if nobody says otherwise."""
    return Path(os.environ.get("SCNET_TESTBED") or Path(os.environ.get("TMPDIR") or "/tmp") / "scnet-testbed")
