"""The demo's member centres: three embedded centres of different size, three real Slurm clusters, or the centres whose
pages are in the state folder already; all with the same few methods.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ..adapters.transport.factory import transport
from ..adapters.transport.transport import Means
from ..domain.standard.centre import parse_centre
from ..errors import ScnetError
from .embedded import EmbeddedCentre, Settings, centre_toml
from .slurm_clusters import SlurmCluster, find
from .slurm_clusters import centre_toml as slurm_toml
from .slurm_clusters import run as slurm_run

GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One centre of the demo: its size, its price in credits an hour, and how busy other people keep it at most."""

    name: str
    title: str
    organisation: str
    nodes: int
    cores: int
    memory: int
    gpus: int = 0
    gpu_model: str = ""
    core_hour: float = 1.0
    gpu_hour: float = 0.0
    busy: float = 0.6


PLANS = (
    Plan(name="alpha", title="Alpha Computing Centre", organisation="Alpha University", nodes=2, cores=8,
    memory=32 * GIB, busy=0.9), Plan(name="beta", title="Beta Supercomputing "
    "Centre", organisation="Beta Academy", nodes=3, cores=16, memory=64 * GIB, gpus=2,
         gpu_model="a100", core_hour=1.2, gpu_hour=20, busy=0.8),
    Plan(name="gamma", title="Gamma Data Centre", organisation="Gamma Province", nodes=2, cores=4, memory=16 * GIB,
         core_hour=0.8, busy=0.5),
)  # fmt: skip


class DemoCentres(Protocol):
    """The demo's actions on its centres, whatever they are made of."""

    names: list[str]

    def write_pages(self) -> None:
        """Writes `centres/NAME.toml` for each centre into the state folder."""

    async def start(self) -> None: ...
    async def stop(self) -> None:
        """Ends the centres with all their jobs; their accounting stays."""

    async def fill(self, name: str) -> None:
        """Lets other people's jobs take every free core of that centre."""

    async def unfill(self, name: str) -> None: ...
    def controller(self, name: str) -> list[int]:
        """Returns the processes of that centre's scheduler, so that a fault can hang them."""

    def commands(self, name: str) -> Path:
        """Returns the folder of that centre's sbatch, squeue and so on."""


class EmbeddedCentres:
    """The three embedded centres. `background`: whether other people's jobs come and go."""

    def __init__(self, home: Path, *, background: bool = True) -> None:
        self.home, self.background = home, background
        self.centres = {plan.name: self._centre(number, plan) for number, plan in enumerate(PLANS, start=1)}
        self.names = list(self.centres)

    def _centre(self, number: int, plan: Plan) -> EmbeddedCentre:
        settings = Settings(
            name=plan.name, index=number, nodes=plan.nodes, cores=plan.cores, memory=plan.memory, gpus=plan.gpus,
            gpu_model=plan.gpu_model, background=plan.busy if self.background else 0.0, seed=number, min_job_age=30,
        )  # fmt: skip
        return EmbeddedCentre(self.home / "centres" / plan.name, settings)

    def write_pages(self) -> None:
        write_pages(self.home, {plan: centre_toml(self.centres[plan.name], **page(self.home, plan)) for plan in PLANS})

    async def start(self) -> None:
        await asyncio.gather(*(asyncio.to_thread(centre.start) for centre in self.centres.values()))

    async def stop(self) -> None:
        await asyncio.gather(*(asyncio.to_thread(centre.stop) for centre in self.centres.values()))

    async def fill(self, name: str) -> None:
        await asyncio.to_thread(self.centres[name].ask, "background", "fill")

    async def unfill(self, name: str) -> None:
        """Removes the filling jobs; other people's jobs return automatically, unless the centre was made calm."""
        await asyncio.to_thread(self.centres[name].ask, "background", "off")
        await asyncio.to_thread(self.centres[name].ask, "background", "on")

    def controller(self, name: str) -> list[int]:
        return [self.centres[name].pid()]

    def commands(self, name: str) -> Path:
        return self.centres[name].bin


class SlurmCentres:
    """The same three centres as real Slurm clusters; other people's jobs come only by `fill`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.clusters = {
            plan.name: SlurmCluster(
                home=home / "slurm" / plan.name, name=plan.name, nodes=plan.nodes, cores=plan.cores, memory=plan.memory,
                gpus=plan.gpus, gpu_model=plan.gpu_model,
            )
            for plan in PLANS
        }  # fmt: skip
        self.names = list(self.clusters)

    def write_pages(self) -> None:
        write_pages(self.home, {plan: slurm_toml(self.clusters[plan.name], **page(self.home, plan)) for plan in PLANS})

    async def start(self) -> None:
        await asyncio.gather(*(asyncio.to_thread(cluster.start) for cluster in self.clusters.values()))

    async def stop(self) -> None:
        await asyncio.gather(*(asyncio.to_thread(cluster.stop) for cluster in self.clusters.values()))

    async def fill(self, name: str) -> None:
        cluster = self.clusters[name]
        for _ in range(cluster.nodes * cluster.cores):
            await self._slurm(
                cluster, "sbatch", "--job-name=filler", "--output=/dev/null", "--mem=1M", "--wrap=sleep 3600"
            )

    async def unfill(self, name: str) -> None:
        await self._slurm(self.clusters[name], "scancel", "--name=filler")

    async def _slurm(self, cluster: SlurmCluster, program: str, *arguments: str) -> None:
        await asyncio.to_thread(slurm_run, program, *arguments, environment=cluster.environment)

    def controller(self, name: str) -> list[int]:
        return [self.clusters[name].controller()]

    def commands(self, name: str) -> Path:
        return Path(find("sbatch")).parent


class GivenCentres:
    """Real member centres, reached over SSH: the pages in `centres/` of the state folder. They run without the demo,
    and their jobs outlive it; the demo ends only its own connections to them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.pages = sorted((home / "centres").glob("*.toml"))
        self.names = [page.stem for page in self.pages]
        if not self.pages:
            raise ScnetError(
                f"{home / 'centres'} holds no centre's page.",
                hint="Add a page: `scnet centres add FILE`.",
                code="no-centres",
            )

    def write_pages(self) -> None:
        """Does nothing: the pages exist."""

    async def start(self) -> None:
        """Does nothing: the centres run."""

    async def stop(self) -> None:
        for page in self.pages:
            spec = parse_centre(page.read_text(), source=str(page))
            await transport(spec, Means(folder=self.home)).end()

    async def fill(self, name: str) -> None:
        raise ScnetError("Real centres are filled by their own people.", code="not-a-demo-centre")

    unfill = fill

    def controller(self, name: str) -> list[int]:
        raise ScnetError("The demo can't break real centres.", code="not-a-demo-centre")

    def commands(self, name: str) -> Path:
        raise ScnetError("The commands of a real centre are on its login node.", code="not-a-demo-centre")


def page(home: Path, plan: Plan) -> dict[str, Any]:
    """Returns the part of a centre's page besides its hardware. A person's working folder is the same at all three
    centres, as if they shared a file system."""
    return {
        "title": plan.title, "organisation": plan.organisation, "python": sys.executable, "core_hour": plan.core_hour,
        "gpu_hour": plan.gpu_hour, "directory": home / "sessions" / plan.name, "home": home / "home" / "{account}",
        "interval": 5, "busy_interval": 1,
    }  # fmt: skip


def write_pages(home: Path, pages: Mapping[Plan, str]) -> None:
    (home / "centres").mkdir(parents=True, exist_ok=True, mode=0o700)
    for plan, text in pages.items():
        (home / "centres" / f"{plan.name}.toml").write_text(text)


def demo_centres(kind: str, home: Path, *, background: bool = True) -> DemoCentres:
    """Returns centres of that kind ("embedded", "slurm" or "given") with their state in `home`; nothing is started
    yet."""
    if kind == "given":
        return GivenCentres(home)
    return SlurmCentres(home) if kind == "slurm" else EmbeddedCentres(home, background=background)
