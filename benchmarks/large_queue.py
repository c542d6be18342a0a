"""What a long queue costs the broker: python benchmarks/large_queue.py [--rounds 5] [--json]

One partition of Slurm with 10,000 running and 100,000 waiting jobs beside one with 100 and 1,000, in CPU time, in turns
in one run. *read*: squeue's and sinfo's answers into statuses and a snapshot, by the dialect. *taken in*: the snapshot
onto the board, its plan included, and judged for a size that was just asked for. *decision*: the next request's, on the
board. Medians over the rounds; ratios are the rounds' own.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from reporting import arguments, number, show_numbers

from scnet_hub.domain.centres.state import CentreStates
from scnet_hub.domain.commands import Command, Completed
from scnet_hub.domain.dialects.dialect import Dialect, dialect
from scnet_hub.domain.jobs import JobRequest, LoadSnapshot
from scnet_hub.domain.placement.board import Board
from scnet_hub.domain.standard.centre import parse_centre
from scnet_hub.services.placement.live_board import LiveBoard

Json = dict[str, Any]
FEW, MANY = (100, 1_000), (10_000, 100_000)  # running and waiting
TAKEN_IN = 200.0  # milliseconds
CORES = 64
EVERY = timedelta(seconds=30)
START = datetime(2026, 11, 20, 9, tzinfo=UTC)
PAGE = """
id = "long"
name = "Long"
transport = { kind = "local" }
session = { python = "/usr/bin/python3", directory = "/s" }
[[partition]]
name = "main"
cores = 64
nodes = 160
"""
NO_GPUS = "N/A|N/A|N/A|N/A"
SMALL = JobRequest(person="ada", project="sea", cores=1, walltime=timedelta(hours=1))


class World:
    """A broker's board over that one centre, and what its scheduler answers."""

    def __init__(self, running: int, waiting: int) -> None:
        self.spec = parse_centre(PAGE, source="benchmark")
        self.dialect: Dialect = dialect("slurm", accounting="sacct")
        self.states = CentreStates.of([self.spec])
        self.live = LiveBoard(self.states, Board())
        self.now = START
        self.queue = Completed(Command(("squeue",)), 0, "".join(queue(running, waiting)), "")
        self.nodes = Completed(Command(("sinfo",)), 0, "".join(nodes(running)), "")
        self.snapshot = LoadSnapshot(taken_at=START, partitions={})

    def read(self) -> None:
        self.now += EVERY
        queue = replace(self.queue)  # each look has an answer of its own
        assert self.dialect.statuses(queue, self.now)
        self.snapshot = self.dialect.snapshot([self.nodes], queue, self.now)

    def take(self) -> None:
        self.states.centres["long"].update(self.snapshot)
        self.live.renew(lambda since: (), self.now).keep_up(self.now)

    def decide(self) -> None:
        assert self.live.board.place(SMALL, now=self.now).best


def queue(running: int, waiting: int) -> list[str]:
    """squeue's answer: jobs of one core that have run for up to a day, and as many sizes and limits as users have."""
    random, began = Random(1), int(START.timestamp())
    lines = [
        f"{job}|RUNNING|n{job % 160}|{began - random.randrange(86_400)}|main|1|1-00:00:00|{NO_GPUS}|1|1|100|{job}|N/A|"
        f"None|{'work':>21}|.\n"
        for job in range(1, running + 1)
    ]
    lines += [
        f"{job}|PENDING|n/a|N/A|main|{random.choice((1, 1, 4, 16))}|{random.randrange(1, 24)}:00:00|{NO_GPUS}|1|1|"
        f"{random.randrange(1, 9999)}|{job}|N/A|Priority|{'work':>21}|.\n"
        for job in range(running + 1, running + waiting + 1)
    ]
    return lines


def nodes(running: int) -> list[str]:
    """sinfo's: 160 nodes of 64 cores that are as full as that makes them."""
    used = [running // 160 + (number < running % 160) for number in range(160)]
    state = ("mixed", "allocated")
    return [
        f"n{number}|main|{cores}/{CORES - cores}/0/{CORES}|256000|0|(null)|(null)|"
        f"{state[cores == CORES]}|1-00:00:00|up|\n"
        for number, cores in enumerate(used)
    ]


def spent(work: Callable[[], object]) -> float:
    """Milliseconds of CPU time in this process."""
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1000


def measure(rounds: int) -> list[Json]:
    worlds = {"few": World(*FEW), "many": World(*MANY)}
    found = []
    for _ in range(rounds + 1):  # the first warms up and is not counted
        one: Json = {}
        for name, world in worlds.items():
            one[name] = {"read": spent(world.read), "taken_in": spent(world.take), "decision": spent(world.decide)}
        found.append(one)
    return found[1:]


def report(rounds: Sequence[Json]) -> list[Json]:
    def median(get: Callable[[Json], float]) -> float:
        return statistics.median(get(one) for one in rounds)

    rows = [
        number(f"{name}: {what}", median(lambda one, n=name, w=what: one[n][w]), "ms")  # type: ignore[misc]
        for name in ("few", "many")
        for what in ("read", "taken_in", "decision")
    ]
    rows.append(number("many: of both, what is read", median(lambda one: share(one["many"])), ""))
    rows.append(
        number(
            "many: read and taken in",
            median(lambda one: one["many"]["read"] + one["many"]["taken_in"]),
            "ms",
            most=TAKEN_IN,
        )
    )
    rows.append(number("many: read, a job", median(lambda one: one["many"]["read"]) * 1000 / sum(MANY), "us"))
    rows.append(
        number("many / few: a decision", median(lambda one: one["many"]["decision"] / one["few"]["decision"]), "x")
    )
    return rows


def share(spent: Json) -> float:
    return float(spent["read"] / (spent["read"] + spent["taken_in"]))


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    rows = report(measure(options.rounds))
    show_numbers(rows, as_json=options.json)


if __name__ == "__main__":
    main()
