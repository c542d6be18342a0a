"""Other people's pretended jobs on an embedded centre, so that its load varies as at a real centre.

Pure: a seeded generator decides which job comes next; the daemon books it like any other job, but runs no process for
it. Modes: "on" follows a slow wave below a ceiling, "off" has no such jobs, "fill" books every free core.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from .scheduler import PENDING, Job, Left, Need, Node
from .settings import Settings

PERIOD = 420.0  # seconds of one wave
STEP = 3.0  # seconds between looks
FULL = 3600.0  # seconds that a filling job lasts
PEOPLE = ("chen", "dubois", "garcia", "ivanova", "kim", "moreau", "novak", "okafor", "rossi", "sato", "silva", "weber")
PROGRAMS = ("cp2k", "gromacs", "lammps", "namd", "nek5000", "openfoam", "qe-scf", "vasp", "wrf")


@dataclass(frozen=True, slots=True)
class Wave:
    """The share of cores that others use: between a quarter of `ceiling` and `ceiling`, each centre at its own
    phase."""

    ceiling: float
    seed: int

    def share(self, now: float) -> float:
        phase = random.Random(f"phase {self.seed}").random()
        return self.ceiling * (0.625 + 0.375 * math.sin(2 * math.pi * (now / PERIOD + phase)))


def coming(
    mode: str,
    settings: Settings,
    nodes: Sequence[Node],
    left: Left,
    live: Sequence[Job],
    now: float,
    dice: random.Random,
) -> list[Job]:
    """Returns the jobs that others submit now in this mode; none while real jobs wait."""
    wave, partition = Wave(settings.background, settings.seed), settings.partition
    pending = [job for job in live if job.state == PENDING]
    if mode == "fill" and all(job.pretend for job in pending):
        return filling(nodes, left, partition, dice)
    if mode == "on" and not pending:
        return arrivals(wave, nodes, left, [job for job in live if job.pretend], partition, now, dice)
    return []


def arrivals(
    wave: Wave,
    nodes: Sequence[Node],
    left: Left,
    others: Sequence[Job],
    partition: str,
    now: float,
    dice: random.Random,
) -> list[Job]:
    """Returns the jobs that others submit now: each fits at once, and together they stay below the wave."""
    total = sum(node.cores for node in nodes)
    room = int(wave.share(now) * total) - sum(job.cores for job in others)
    jobs: list[Job] = []
    while room > 0 and len(jobs) < 4:
        cores = min(room, dice.randint(1, max(1, nodes[0].cores // 3)))
        if not any(free.cores >= cores for free in left.values()):
            break
        jobs.append(_job(nodes[0], cores, dice.uniform(20, 180), partition, dice))
        room -= cores
    return jobs


def filling(nodes: Sequence[Node], left: Left, partition: str, dice: random.Random) -> list[Job]:
    """Returns jobs that book every free core, node by node."""
    by_name = {node.name: node for node in nodes}
    return [
        _job(by_name[name], free.cores, FULL, partition, dice, thrifty=True)
        for name, free in left.items()
        if free.cores > 0
    ]


def _job(node: Node, cores: int, seconds: float, partition: str, dice: random.Random, *, thrifty: bool = False) -> Job:
    memory = 0 if thrifty else cores * (node.memory // node.cores) // 2
    return Job(
        name=dice.choice(PROGRAMS), user=dice.choice(PEOPLE), partition=partition, need=Need(1, cores, memory),
        limit=int(seconds * dice.uniform(1.2, 3)) + 60, cores_per_task=cores, account="other", pretend=seconds,
    )  # fmt: skip
