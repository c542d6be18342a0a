"""Tells when Slurm's backfill looks for holes: its settings from `scontrol show config`, and its last cycle from
sdiag."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..jobs import Backfill

# Appended to another command: a separate query would load slurmctld, and this one can't make a look fail. A single
# line, because a login shell may be csh.
BEHIND = (
    "sh",
    "-c",
    '"$@" || exit; timeout 3 sdiag 2>/dev/null | sed -n -e "/^sdiag output at/p" -e "/^Backfilling stats/,/Last '
    'depth cycle:/p"; exit 0',
    "sh",
)
INTERVAL, DEPTH = 30, 500  # Slurm's defaults
YIELDS = 1.25  # a cycle's length is reported without its pauses, by default half a second after each two
OVERDUE = timedelta(seconds=2)  # times are whole seconds


@dataclass(frozen=True, slots=True)
class Cycle:
    """`interval` seconds from the end of one cycle to the next, each over at most `depth` queued jobs; an interval of
    0: there are no cycles, or they may not be read."""

    interval: int = 0
    depth: int | None = None


def cycle(config: str) -> Cycle:
    """Returns the cycle in `scontrol show config`; None if another scheduler runs or backfill is switched off (-1)."""
    said = dict(re.findall(r"^(Scheduler\w+) *= (\S+)", config, re.MULTILINE))
    if said.get("SchedulerType") != "sched/backfill":
        return Cycle()
    numbers = dict(re.findall(r"(?:^|,)(bf_\w+)=(-?\d{1,7})(?=,|$)", said.get("SchedulerParameters", "")))
    return Cycle(max(int(numbers.get("bf_interval", INTERVAL)), 0), int(numbers.get("bf_max_job_test", DEPTH)))


def backfill(stdout: str, of: Cycle, at: datetime) -> Backfill | None:
    """Returns the last cycle in the output of `BEHIND`; None if it has none. Times are by slurmctld's own clock, so its
    offset does not matter. Slurm skips cycles while nothing has changed since the last and nothing waits: an overdue
    cycle comes within a second."""
    head, _, stats = stdout.partition("\nBackfilling stats")
    said_at, last = (
        re.search(r"^sdiag output at .*\((\d{9,10})\)", head, re.MULTILINE),
        re.search(r"Last cycle when: .*\((\d{9,10})\)", stats),
    )
    if not of.interval or not said_at or not last:
        return None
    took = re.search(r"Mean cycle: +(\d{1,12})\n", stats) or re.search(r"Last cycle: +(\d{1,12})\n", stats)
    every = timedelta(seconds=of.interval, microseconds=YIELDS * int(took[1]) if took else 0)
    age = timedelta(seconds=int(said_at[1]) - int(last[1]))
    overdue = age > every + OVERDUE and not stats.startswith(" (WARNING")  # that is: in the middle of a cycle
    return Backfill(at if overdue else at - age, every, of.depth)
