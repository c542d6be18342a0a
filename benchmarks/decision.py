"""What a decision costs: python benchmarks/decision.py [--rounds 9] [--json]

Beside one SSH command on an open connection (`true`, by the product's own way out to a real sshd here), in CPU time, in
turns in one run, so that the machine's speed cancels out. *hub*: what the command costs this process. *whole*: and
sshd, the shell and the command. A decision is a board's, at 10, 100 and 1,000 centres of 4 partitions, ten a second;
each centre's answer comes every 30 s and changes all its partitions, so that at 1,000 centres 3.3 come between two
decisions. *taken in*: from what the dialect read to the board. *by the database*: all that a broker asks before it
starts something, its own newest jobs, accounts and books too. Figures are medians over the rounds, ratios those of the
rounds' own.
"""

from __future__ import annotations

import asyncio
import heapq
import secrets
import statistics
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from reporting import arguments, note, number, show_numbers

from scnet_hub.adapters.centre import Centre
from scnet_hub.adapters.db.database import Database
from scnet_hub.adapters.transport.ssh import SshTransport
from scnet_hub.domain.commands import Command
from scnet_hub.domain.jobs import Backfill, Booking, JobRequest, LoadSnapshot, NodeLoad, PartitionLoad, Waiting
from scnet_hub.domain.standard.centre import CentreSpec, parse_centre
from scnet_hub.domain.standard.federation import parse_federation
from scnet_hub.services.federation import Federation
from scnet_hub.services.projects import projects
from tests.unit.adapters.transport.sshd import ME, Sshd

Json = dict[str, Any]
CENTRES, PARTITIONS, NODES, CORES = (10, 100, 1000), 4, 16, 32
# between two answers of a centre, and between two decisions
EVERY, STEP = (
    timedelta(seconds=30),
    timedelta(seconds=0.1),
)
TURNS = 40  # of a round
RATIO, GROWTH = 0.1, 100.0
PAGE = """
id = "{name}"
name = "{name}"
transport = {{ kind = "local" }}
session = {{ python = "/usr/bin/python3", directory = "/s" }}
"""
FEDERATION = """
centres = ["benchmark"]
[[project]]
id = "sea"
members = ["ada"]
grants = { first = 1000 }
"""
PARTITION = f"""
[[partition]]
name = "p{{number}}"
cores = {CORES}
nodes = {NODES}
"""
START = datetime(2026, 11, 20, 9, tzinfo=UTC)
SIZES = [
    JobRequest(person="ada", project="sea", cores=cores, walltime=timedelta(hours=hours))
    for cores in (1, 4, 16, 32)
    for hours in (1, 8)
]


# ---- a federation that answers


class World:
    """A broker over so many centres, of which one answers now and then."""

    def __init__(self, count: int, folder: Path) -> None:
        self.random, self.now = Random(1), START
        centres = {f"c{number}": Centre.of(page(f"c{number}")) for number in range(count)}
        db = Database(f"sqlite:///{folder / f'{secrets.token_hex(4)}.sqlite'}")
        db.open()
        self.broker = Federation(
            parse_federation(FEDERATION, source="benchmark"), centres, db, call_home_url="", clock=lambda: self.now
        )
        with db.engine.begin() as tx:
            projects.apply(tx, self.broker.spec.project, self.now)
        self.due = [(START - self.random.random() * EVERY, name) for name in centres]
        heapq.heapify(self.due)
        self.take(self.answers())

    def answers(self) -> list[tuple[str, LoadSnapshot]]:
        """Those that came until now."""
        found = []
        while self.due[0][0] <= self.now:
            at, name = self.due[0]
            heapq.heapreplace(self.due, (at + EVERY, name))
            partitions = {f"p{part}": some_load(self.random, f"p{part}", at) for part in range(PARTITIONS)}
            found.append((name, LoadSnapshot(taken_at=at, partitions=partitions)))
        return found

    def take(self, answers: Sequence[tuple[str, LoadSnapshot]]) -> None:
        for name, snapshot in answers:
            self.broker.states.centres[name].update(snapshot)
        self.broker.placing.live.renew(lambda since: (), self.now).keep_up(self.now)

    def decide(self, request: JobRequest) -> None:
        assert self.broker.placing.live.board.place(request, now=self.now).best

    def decide_by_database(self, request: JobRequest) -> None:
        with self.broker.db.engine.begin() as tx:
            assert self.broker.placing.decide(tx, request)[0].best


def page(name: str) -> CentreSpec:
    return parse_centre(
        PAGE.format(name=name) + "".join(PARTITION.format(number=part) for part in range(PARTITIONS)), source=name
    )


def some_load(random: Random, name: str, at: datetime) -> PartitionLoad:
    """Half of the partitions have a queue."""
    used = [random.choice((0, CORES // 2, CORES, CORES)) for _ in range(NODES)]
    nodes = tuple(NodeLoad(name=f"n{number}", cores=CORES, cores_used=cores) for number, cores in enumerate(used))
    running = tuple(
        Booking(ends_at=at + timedelta(seconds=random.randint(60, 90_000)), cores=cores, node=f"n{number}")
        for number, cores in enumerate(used)
        if cores
    )
    queued = random.choice((0, random.randint(1, 20)))
    waiting = tuple(
        Waiting(cores=random.randint(1, CORES), walltime=timedelta(hours=random.randint(1, 48))) for _ in range(queued)
    )
    return PartitionLoad(
        name=name, nodes=nodes, running=running, running_jobs=len(running), waiting=waiting, queued_jobs=queued,
        queued_cores=sum(one.cores for one in waiting), backfill=Backfill(at - random.random() * EVERY, EVERY),
    )  # fmt: skip


# ---- measuring


def spent(work: Callable[[], object]) -> float:
    """Milliseconds of CPU time in this process."""
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1000


def decide(world: World, request: JobRequest) -> Json:
    """In ms: taking in what came, a decision that has to look at it, the same again, and again by the database."""
    world.now += STEP
    answers = world.answers()
    return {
        "came": len(answers),
        "taken_in": spent(partial(world.take, answers)),
        "changed": spent(partial(world.decide, request)),
        "alone": spent(partial(world.decide, request)),
        "database": spent(partial(world.decide_by_database, request)),
    }


async def command(way: SshTransport) -> float:
    """Milliseconds of CPU time in this process."""
    began = time.process_time()
    done = await way.run(Command(("true",)), account=ME)
    assert done.code == 0
    return (time.process_time() - began) * 1000


async def turns(worlds: Mapping[Any, tuple[World, Sequence[JobRequest]]], sshd: Sshd, way: SshTransport) -> Json:
    """A round: one after the other, so that each finds the machine as the others left it; means in ms."""
    there, hub = of_sshd(sshd), 0.0
    found: defaultdict[Any, Counter[str]] = defaultdict(Counter)
    for turn in range(TURNS):
        hub += await command(way)
        for which, (world, requests) in worlds.items():
            found[which].update(decide(world, requests[turn % len(requests)]))
    means: Json = {which: {name: value / TURNS for name, value in sums.items()} for which, sums in found.items()}
    return means | {"ssh": {"hub": hub / TURNS, "whole": (hub + (of_sshd(sshd) - there) * 1000) / TURNS}}


def of_sshd(sshd: Sshd) -> float:
    """Seconds of CPU time in the processes of its connections, and in what they ran."""
    return sum(sum(one.cpu_times()[:4]) for one in sshd.sessions())


async def measure(rounds: int) -> list[Json]:
    with tempfile.TemporaryDirectory(prefix="sc-") as name:
        folder = Path(name)
        note("making federations ...")
        worlds: dict[Any, tuple[World, list[JobRequest]]] = {
            count: (World(count, folder), SIZES[2:3]) for count in CENTRES
        }
        worlds["mixed"] = World(CENTRES[-1], folder), SIZES
        sshd = Sshd(folder).start()
        way = SshTransport(sshd.spec(), sshd.means(), never=())
        found = []
        try:
            for number in range(rounds + 1):  # the first warms up and is not counted
                note(f"round {number} of {rounds} ...")
                found.append(await turns(worlds, sshd, way))
        finally:
            await way.end()
            sshd.stop()
    return found[1:]


# ---- telling

KINDS = {
    "alone": "a decision, nothing new",
    "changed": "a decision, with what came",
    "taken_in": "answers taken in before it",
    "database": "a decision by the database, nothing new",
}


def report(rounds: Sequence[Json]) -> list[Json]:
    def median(get: Callable[[Json], float]) -> float:
        return statistics.median(get(one) for one in rounds)

    few, many = CENTRES[0], CENTRES[-1]
    rows = [
        number(f"an SSH command, {side}", median(lambda one, side=side: one["ssh"][side]), unit="ms")
        for side in ("hub", "whole")
    ]  # type: ignore[misc]
    for which in (*CENTRES, "mixed"):
        where = f"{which:,} centres" if isinstance(which, int) else f"{many:,} centres, {len(SIZES)} sizes in turn"
        rows += [
            number(f"{where}: {words}", median(lambda one, w=which, k=kind: one[w][k]), unit="ms")
            for kind, words in KINDS.items()
        ]  # type: ignore[misc]
    rows.append(
        number(
            f"{many:,} centres: one answer taken in",
            median(lambda one: one[many]["taken_in"] / max(one[many]["came"], 0.1)),
            unit="ms",
        )
    )
    for kind in ("alone", "changed"):
        for side in ("hub", "whole"):
            ratio = median(lambda one, k=kind, s=side: one[many][k] / one["ssh"][s])  # type: ignore[misc]
            rows.append(number(f"{many:,} centres: {KINDS[kind]} / command, {side}", ratio, most=RATIO))
    growth = median(lambda one: one[many]["changed"] / one[few]["changed"])
    return [*rows, number(f"a decision, with what came: {many:,} / {few} centres", growth, most=GROWTH)]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    rows = report(asyncio.run(measure(options.rounds)))
    show_numbers(rows, as_json=options.json)


if __name__ == "__main__":
    main()
