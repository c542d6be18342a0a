"""Other people's jobs at the testbed's centres, for benchmarks: a seeded plan, and who submits it as those centres' own
people do.

Each centre has its own stream: as much as keeps it mostly busy, in waves of a few minutes, so that queues form and
drain all the time at different moments. Jobs last 20 to 120 s and ask for two to five times as long, as people do.
"""

from __future__ import annotations

import asyncio
import math
import random
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from alpha import beds, note

RUNS = (20, 120)  # seconds
ASKS = (2.0, 5.0)  # times as long
WAVE, PERIODS = 0.5, (120.0, 240.0)  # the stream swells and ebbs by half
FULL_AT_FIRST = 0.9
MOST_QUEUED = 40  # jobs of ours in one queue: beyond, nothing is added
WHO = "grace"
Work = tuple[int, int]  # cores, and how many seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One of other people's jobs: when it is submitted (seconds from the start), cores of one node, how long it runs,
    its limit."""

    at: float
    centre: str
    cores: int
    runs: int
    limit: int


def plan(seed: int, seconds: float, centre: str, *, nodes: int, cores: int, level: float) -> list[Job]:
    """The stream of one centre: `level` is the work that it brings, as a share of what the centre can do."""
    dice = random.Random(f"{seed}:{centre}")
    period, phase = dice.uniform(*PERIODS), dice.uniform(0, 2 * math.pi)
    jobs, booked = [], 0
    while booked < FULL_AT_FIRST * level * nodes * cores:
        jobs.append(_job(dice, centre, cores, 0.0))
        booked += jobs[-1].cores
    rate = level * nodes * cores / (_mean_cores(cores) * sum(RUNS) / 2)
    at = 0.0
    while (at := at + dice.expovariate(rate * (1 + WAVE))) < seconds:
        if dice.uniform(0, 1 + WAVE) < 1 + WAVE * math.sin(2 * math.pi * at / period + phase):
            jobs.append(_job(dice, centre, cores, at))
    return jobs


def _job(dice: random.Random, centre: str, biggest: int, at: float) -> Job:
    runs = dice.randint(*RUNS)
    cores = round(2 ** dice.uniform(0, math.log2(biggest)))
    return Job(at=at, centre=centre, cores=cores, runs=runs, limit=round(runs * dice.uniform(*ASKS)))


def _mean_cores(biggest: int) -> float:
    return (biggest - 1) / math.log(biggest)  # of 2 ** uniform(0, log2(biggest))


def command(kind: str, job: Job, *, cluster: str = "") -> tuple[str, ...]:
    """What a person types for it; `cluster`: in Slurm's own federation, to stay at that one."""
    clock = f"{job.limit // 3600}:{job.limit // 60 % 60:02}:{job.limit % 60:02}"
    if kind == "slurm":
        stay = ("-M", cluster) if cluster else ()
        there = ("-J", "other", "-n1", f"-c{job.cores}", "-t", clock, "-o", "/dev/null")
        return ("sbatch", "--parsable", *stay, *there, "--wrap", f"exec sleep {job.runs}")
    if kind == "gridengine":  # without -R y a small job always goes before a large one
        size = ("-pe", "smp", str(job.cores), "-R", "y") if job.cores > 1 else ()
        there = ("-N", "other", "-q", "all.q", *size, "-l", f"h_rt={job.limit}", "-j", "y", "-o", "/dev/null")
        return ("qsub", "-terse", *there, "-b", "y", "sleep", str(job.runs))
    out = ("-O", "/dev/null", "-E", "/dev/null")
    return (
        "oarsub",
        "-n",
        "other",
        "-q",
        "default",
        "-l",
        f"/nodes=1/core={job.cores},walltime={clock}",
        *out,
        f"sleep {job.runs}",
    )


QUEUED = {
    "slurm": "squeue -h -t PENDING -n other -o %i | wc -l",
    "gridengine": "qstat -u '*' -s p | grep -c other || true",
    "oar": "oarstat | grep -c ' W ' || true",
}


@dataclass
class Others:
    """Those people. `run()` until cancelled; `counts` says how many jobs were submitted at each centre, and left out or
    refused."""

    testbed: beds.Testbed
    jobs: Mapping[str, Sequence[Job]]
    clusters: Mapping[str, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    began: float = 0.0

    async def run(self) -> None:
        self.began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for centre in self.jobs:
                group.create_task(self._at(centre))

    async def _at(self, centre: str) -> None:
        for job in self.jobs[centre]:
            await asyncio.sleep(max(0.0, self.began + job.at - time.monotonic()))
            if job.at and self.counts[centre] % 10 == 0 and await self._queued(centre) > MOST_QUEUED:
                self.counts[f"{centre} left out"] += 1
                continue
            await self._submit(job)

    async def _queued(self, centre: str) -> int:
        kind = beds.CENTRES[centre].kind
        try:
            done = await asyncio.to_thread(self.testbed.at, centre, ["sh", "-c", QUEUED[kind]], timeout=20)
            return int(done.stdout.strip() or 0)
        except (ValueError, subprocess.TimeoutExpired):
            return 0

    async def _submit(self, job: Job) -> None:
        where = beds.CENTRES[job.centre]
        argv = command(where.kind, job, cluster=self.clusters.get(job.centre, ""))
        try:
            done = await asyncio.to_thread(self.testbed.at, job.centre, argv, account=where.people[WHO], timeout=30)
        except subprocess.TimeoutExpired:
            self.counts[f"{job.centre} timed out"] += 1
            return
        self.counts[job.centre] += 1
        if done.returncode:
            self.counts[f"{job.centre} refused"] += 1
            if self.counts[f"{job.centre} refused"] == 1:
                note(f"{job.centre}: {' '.join(argv)}: {(done.stderr or done.stdout).strip()[-300:]}")


def plans(seed: int, seconds: float, centres: str, levels: Mapping[str, float]) -> dict[str, list[Job]]:
    def facts() -> Iterator[tuple[str, beds.Centre]]:
        return ((centre, beds.CENTRES[centre]) for centre in centres)

    return {
        name: plan(seed, seconds, name, nodes=len(centre.nodes), cores=centre.cores, level=levels[centre.kind])
        for name, centre in facts()
    }
