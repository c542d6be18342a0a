"""The events of a simulated federation, whatever the policy: its centres, their background jobs, and people's requests.

Each centre replays a stretch of a log, in faster or slower time so that it offers exactly the wanted load. People
request small sessions by day more than by night, and twice a day a class starts at once. Everything is drawn here,
before a run, from one seed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from random import Random
from typing import NamedTuple

from ..errors import BadOption
from .lublin import generated
from .swf import Batch, Site

HOUR, DAY = 3600.0, 86400.0
# of a centre's cores, by its background alone
LOADS = {"mod": (0.55, 0.85), "tight": (0.80, 0.97), "hot": (0.90, 1.02)}
SHARE = {"mod": 0.06, "tight": 0.06, "hot": 0.15}  # people's sessions, of those cores, and ...
COUNTED_CORES = 300  # ... of no more cores than this at a centre
SIZES = ((1, 45), (2, 30), (4, 15), (8, 7), (16, 3))  # cores and how often
HOURS = ((1, 15), (2, 25), (4, 30), (8, 20), (12, 10))  # walltimes and how often
MEDIAN_RUN, SPREAD = 41 * 60.0, 1.0
CLASSES = (9.0, 14.0)  # o'clock
CLASS_SIZE, CLASS_SPAN = 20, 120.0  # and one more for each centre; all within two minutes
MACHINES = (240, 1024, 128, 256)  # cores of the machines that are made up if no log is given
MOST_ARRIVALS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """The simulated scenario. `days` are simulated in all; a part of them at the beginning and the end is not
    measured."""

    centres: int = 22
    load: str = "hot"
    days: float = 7.0
    seed: int = 1
    snapshot_age: float = 30.0
    black_hole: bool = False
    outages: bool = False

    @property
    def horizon(self) -> float:
        return self.days * DAY

    @property
    def measured(self) -> tuple[float, float]:
        """Returns from when to when requests count: queues have grown, and there is time left to start."""
        return min(2 * DAY, self.horizon * 0.3), self.horizon - min(DAY / 2, self.horizon * 0.1)


class Ask(NamedTuple):
    """One request: when, for what, for how long at most, and how long it would run."""

    at: float
    cores: int
    walltime: float
    run: float
    person: int


class Arrival(NamedTuple):
    """One background job."""

    at: float
    cores: int
    run: float
    estimate: float


@dataclass(frozen=True, slots=True)
class Centre:
    """A machine and all jobs that its own people will bring. `phase`: when in its half minute it looks for holes."""

    name: str
    cores: int
    phase: float
    arrivals: tuple[Arrival, ...]


@dataclass(frozen=True, slots=True)
class Workload:
    scenario: Scenario
    centres: tuple[Centre, ...]
    asks: tuple[Ask, ...]


def checked(scenario: Scenario) -> Scenario:
    """Returns the scenario. Raises BadOption if it can't be simulated."""
    if scenario.centres < 1:
        raise BadOption("There is no centre to simulate.", hint="--centres takes 1 or more.")
    if scenario.load not in LOADS:
        raise BadOption(f"Unknown load {scenario.load!r}.", hint=f"Known loads: {', '.join(LOADS)}.")
    if not 0 < scenario.days <= 366:
        raise BadOption(f"{scenario.days:g} days can't be simulated.", hint="More than 0, at most 366.")
    if not 0 <= scenario.snapshot_age <= 3600:
        raise BadOption(f"Snapshots can't be {scenario.snapshot_age:g} s old.", hint="0 to 3600 seconds.")
    if scenario.black_hole and scenario.centres < 2:
        raise BadOption(
            "If the only centre is a black hole, no session can start.", hint="--centres 2 or more with --black-hole."
        )
    return scenario


def workload_of(scenario: Scenario, sites: Sequence[Site] = ()) -> Workload:
    """Returns the workload of a scenario. `sites` are used in turn; without any, machines are made up. Raises
    BadOption."""
    checked(scenario)
    rng = Random(f"{scenario.seed}/background")
    known = sites or [generated(f"lublin-{cores}", cores, 6000, rng) for cores in MACHINES]
    chosen = list(islice(cycle(known), scenario.centres))
    loads = strata(*LOADS[scenario.load], len(chosen), rng)
    centres = tuple(
        _centre(site, load, number, scenario, rng)
        for number, (site, load) in enumerate(zip(chosen, loads, strict=True), 1)
    )
    largest, most = max(centre.cores for centre in centres), max(cores for cores, _ in SIZES)
    if largest < most:
        raise BadOption(
            f"Requests take up to {most} cores, and the largest centre here has {largest}: nothing would fit "
            "some of them.",
            hint="Give a log of a larger machine.",
        )
    return Workload(
        scenario,
        centres,
        tuple(asks(scenario, [centre.cores for centre in centres], Random(f"{scenario.seed}/people"))),
    )


def strata(low: float, high: float, number: int, rng: Random) -> list[float]:
    """Returns `number` loads, one from each equal part of the range, in random order."""
    loads = [low + (high - low) * (part + rng.random()) / number for part in range(number)]
    rng.shuffle(loads)
    return loads


def _centre(site: Site, load: float, number: int, scenario: Scenario, rng: Random) -> Centre:
    begin = rng.randrange(len(site.jobs))
    arrivals = tuple(replayed(site, begin, load, scenario.horizon))
    return Centre(f"c{number:03d}", site.cores, rng.uniform(0, 30), arrivals)


def replayed(site: Site, begin: int, load: float, horizon: float) -> list[Arrival]:
    """Returns as much work of the log as `load` of the machine does in `horizon` seconds: from the log's job `begin`
    on, starting over at its end. Times are stretched or compressed so that the work arrives in exactly that time."""
    wanted = load * site.cores * horizon
    span = site.jobs[-1].submitted + max(1.0, site.jobs[-1].submitted / len(site.jobs))
    if wanted / sum(job.cores * job.run for job in site.jobs) * len(site.jobs) > MOST_ARRIVALS:
        raise BadOption(
            f"{site.name} has too little work for a machine of {site.cores} cores: it would take more than a "
            "million jobs to fill it.",
            hint="Give a longer log, or a log whose header has the right MaxProcs.",
        )
    taken: list[tuple[float, Batch]] = []
    work, number = 0.0, begin
    while work < wanted:
        rounds, place = divmod(number, len(site.jobs))
        job = site.jobs[place]
        taken.append((rounds * span + job.submitted, job))
        work += job.cores * job.run
        number += 1
    first = taken[0][0]
    pace = horizon / max(taken[-1][0] - first + span / len(site.jobs), 1.0)
    return [Arrival((at - first) * pace, job.cores, job.run, job.estimate) for at, job in taken]


def asks(scenario: Scenario, cores: Sequence[int], rng: Random) -> list[Ask]:
    """Returns all requests, in the order of arrival."""
    number = len(cores)
    counted = sum(min(each, COUNTED_CORES) for each in cores)
    mean_run = MEDIAN_RUN * math.exp(SPREAD**2 / 2)
    mean_cores = sum(size * often for size, often in SIZES) / sum(often for _, often in SIZES)
    rate = SHARE[scenario.load] * counted / (mean_run * mean_cores)
    made, at = [], 0.0
    while (at := at + rng.expovariate(rate * 1.7)) < scenario.horizon:
        if rng.random() * 1.7 < busy(at):
            made.append(_ask(at, _drawn(SIZES, rng), _drawn(HOURS, rng), rng, rng.randrange(50 * number)))
    for day in range(math.ceil(scenario.days)):
        for hour in CLASSES:
            made += _class(day * DAY + hour * HOUR, CLASS_SIZE + number, rng)
    return sorted(ask for ask in made if ask.at < scenario.horizon)


def busy(at: float) -> float:
    """Returns how much people request at that time of the day: 0.3 in the night, 1.7 in the afternoon."""
    return 1 + 0.7 * math.cos(2 * math.pi * ((at % DAY) / DAY - 14 / 24))


def _class(begin: float, size: int, rng: Random) -> list[Ask]:
    cores = rng.choice((1, 1, 2))
    return [_ask(begin + rng.uniform(0, CLASS_SPAN), cores, 2, rng, 1_000_000 + seat) for seat in range(size)]


def _ask(at: float, cores: int, hours: int, rng: Random, person: int) -> Ask:
    return Ask(
        at, cores, hours * HOUR, max(30.0, min(rng.lognormvariate(math.log(MEDIAN_RUN), SPREAD), hours * HOUR)), person
    )


def _drawn(table: Sequence[tuple[int, int]], rng: Random) -> int:
    return rng.choices([value for value, _ in table], [often for _, often in table])[0]
