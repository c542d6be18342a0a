"""Plans a partition: the free resources of each node from now on, after the queued jobs have the places that their
scheduler reserves.

Schedulers reserve places for different numbers of jobs: EASY for one (`reserves`), Slurm's backfill and OAR for all
that they look at. Slurm reserves the nodes of a job that can't start yet as a whole, also if the job needs only some
of their cores (`keeps_nodes`; tested on a real one: tests/real/test_backfill.py). Plans use limits, not estimates: a
running job ends at its limit, a waiting one lasts for all of its own. A large partition is planned as one pool of
cores.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..jobs import Booking, NodeLoad, PartitionLoad, Waiting

POOLED = 64  # nodes; a larger partition is one pool
UNTOLD = timedelta(days=1)  # the walltime of a queued job that does not state one
LONG = 400 * 86400.0  # seconds: for ever, in a plan


class Profile:
    """One node: from each of `times` (seconds, the first is 0) on, so many cores and GPUs are free."""

    __slots__ = ("cores", "gpus", "times")

    def __init__(self, times: list[float], cores: list[int], gpus: list[int]) -> None:
        self.times, self.cores, self.gpus = times, cores, gpus

    @classmethod
    def of(cls, cores: int, gpus: int, releases: Iterable[tuple[float, int, int]]) -> Profile:
        """Makes a profile from the free resources now and from `releases` (seconds, cores, GPUs)."""
        made = cls([0.0], [cores], [gpus])
        for at, more, more_gpus in sorted(releases):
            if at > made.times[-1]:
                made.times.append(at)
                made.cores.append(made.cores[-1])
                made.gpus.append(made.gpus[-1])
            made.cores[-1] += more
            made.gpus[-1] += more_gpus
        return made

    def copy(self) -> Profile:
        return Profile(self.times[:], self.cores[:], self.gpus[:])

    def holds(self, cores: int, gpus: int, start: float, end: float) -> bool:
        """Tells whether so much is free all the time from `start` until `end`."""
        index = bisect_right(self.times, start) - 1
        while index < len(self.times) and self.times[index] < end:
            if self.cores[index] < cores or self.gpus[index] < gpus:
                return False
            index += 1
        return True

    def earliest(self, cores: int, gpus: int, lasts: float) -> float | None:
        """Returns the first time from which so much is free for so long; None: never."""
        index, count = 0, len(self.times)
        while index < count:
            start, other = self.times[index], index
            while (
                other < count
                and self.times[other] < start + lasts
                and self.cores[other] >= cores
                and self.gpus[other] >= gpus
            ):
                other += 1
            if other == count or self.times[other] >= start + lasts:
                return start
            index = other + 1
        return None

    def take(self, start: float, cores: int, gpus: int, lasts: float) -> None:
        first, last = self._cut(start), self._cut(start + lasts)
        for index in range(first, last):
            self.cores[index] -= cores
            self.gpus[index] -= gpus

    def keep(self, start: float, lasts: float) -> None:
        """Leaves nothing free from `start` on for so long."""
        first, last = self._cut(start), self._cut(start + lasts)
        for index in range(first, last):
            self.cores[index] = self.gpus[index] = 0

    def _cut(self, at: float) -> int:
        index = bisect_left(self.times, at)
        if index == len(self.times) or self.times[index] != at:
            self.times.insert(index, at)
            self.cores.insert(index, self.cores[index - 1])
            self.gpus.insert(index, self.gpus[index - 1])
        return index


@dataclass(frozen=True, slots=True)
class Plan:
    """The profiles of a partition's nodes as of `at`; `turns` are the times (seconds after it) at which anything
    changes."""

    at: datetime
    nodes: tuple[Profile, ...]
    turns: tuple[float, ...]

    def holds(self, cores: int, gpus: int, nodes: int, now: datetime, walltime: timedelta) -> bool:
        """Tells whether so many nodes each have so much free from `now` on, for the whole `walltime`."""
        start = max(0.0, (now - self.at).total_seconds())
        end = start + walltime.total_seconds()
        if len(self.nodes) == 1:
            return self.nodes[0].holds(cores * nodes, gpus * nodes, start, end)
        return sum(node.holds(cores, gpus, start, end) for node in self.nodes) >= nodes

    def earliest(self, cores: int, gpus: int, nodes: int, walltime: timedelta) -> datetime | None:
        """Returns when, at the latest, so many nodes each have so much free for the whole `walltime`; None: never."""
        lasts = walltime.total_seconds()
        if len(self.nodes) == 1:
            cores, gpus, nodes = cores * nodes, gpus * nodes, 1
        firsts = sorted(at for node in self.nodes if (at := node.earliest(cores, gpus, lasts)) is not None)
        return self.at + timedelta(seconds=firsts[nodes - 1]) if len(firsts) >= nodes else None

    def next_turn(self, now: datetime, walltime: timedelta) -> datetime | None:
        """Returns when `holds` may change for such a job only because time passes; None: never."""
        start = (now - self.at).total_seconds()
        found = []
        for edge in (0.0, walltime.total_seconds()):
            if (index := bisect_right(self.turns, start + edge)) < len(self.turns):
                found.append(self.turns[index] - edge)
        return self.at + timedelta(seconds=min(found)) if found else None

    def after(self, own: Iterable[tuple[int, int]]) -> Plan:
        """Returns the plan if our own newer submissions (cores and GPUs of a node each) take free resources now, for
        ever: their length is not known here, and they may have got their place before the queue's next turn."""
        nodes = [node.copy() for node in self.nodes]
        for cores, gpus in own:
            for node in nodes:
                if node.cores[0] >= cores and node.gpus[0] >= gpus:
                    node.take(0.0, cores, gpus, LONG)
                    break
        return _plan(self.at, nodes)


def plan(load: PartitionLoad, at: datetime) -> Plan:
    """Returns the plan of `load` as it was `at`."""
    nodes = _profiles(load, at)
    whole = load.keeps_nodes and sum(node.up for node in load.nodes) <= POOLED
    for job in load.waiting if load.reserves is None else _kept(load.waiting, nodes, load.reserves):
        _book(nodes, *_share(job), max(job.nodes, 1), _lasts(job), whole=whole)
    return _plan(at, nodes)


def _kept(waiting: Sequence[Waiting], nodes: Sequence[Profile], reserves: int) -> list[Waiting]:
    """Returns the jobs at the front that start at once, and the first `reserves` jobs that cannot."""
    free = [(node.cores[0], node.gpus[0]) for node in nodes]
    found, held = [], 0
    for job in waiting:
        cores, gpus = _share(job)
        places = [index for index, (have, have_gpus) in enumerate(free) if have >= cores and have_gpus >= gpus][
            : max(job.nodes, 1)
        ]
        if len(places) == max(job.nodes, 1) and not held:
            for index in places:
                free[index] = (free[index][0] - cores, free[index][1] - gpus)
        elif held == reserves:
            break
        else:
            held += 1
        found.append(job)
    return found


def _plan(at: datetime, nodes: Sequence[Profile]) -> Plan:
    return Plan(at, tuple(nodes), tuple(sorted({time for node in nodes for time in node.times})))


def _book(nodes: Sequence[Profile], cores: int, gpus: int, count: int, lasts: float, *, whole: bool) -> None:
    """Books a job on `count` nodes, at the first time at which all of them have room; nowhere if there is no such
    time. `whole`: if the job has to wait, its nodes are kept as a whole."""
    if len(nodes) == 1:  # a pool, or a single node
        cores, gpus, count = cores * count, gpus * count, 1
    firsts = sorted(
        (at, index) for index, node in enumerate(nodes) if (at := node.earliest(cores, gpus, lasts)) is not None
    )
    if len(firsts) < count:
        return
    start, chosen = firsts[0][0], [nodes[index] for _, index in firsts[:count]]
    if count > 1:
        start, chosen = _together(
            [nodes[index] for _, index in firsts], cores, gpus, count, firsts[count - 1][0], lasts
        )
    for node in chosen:
        if whole and start:
            node.keep(start, lasts)
        else:
            node.take(start, cores, gpus, lasts)


def _together(
    nodes: Sequence[Profile], cores: int, gpus: int, count: int, least: float, lasts: float
) -> tuple[float, list[Profile]]:
    """Returns the first time, not before `least`, at which so many nodes have room for so long at once, and the nodes.
    There always is one: in the end all is free."""
    for start in sorted({time for node in nodes for time in node.times if time >= least}):
        able = [node for node in nodes if node.holds(cores, gpus, start, start + lasts)]
        if len(able) >= count:
            return start, able[:count]
    return least, []


def _share(job: Booking | Waiting) -> tuple[int, int]:
    """Returns the cores and GPUs that the job has on each of its nodes."""
    nodes = max(job.nodes, 1)
    return -(-job.cores // nodes), -(-job.gpus // nodes)


def _lasts(job: Waiting) -> float:
    return (job.walltime or UNTOLD).total_seconds()


# ---- running jobs, on their nodes


def _profiles(load: PartitionLoad, at: datetime) -> list[Profile]:
    up = [node for node in load.nodes if node.up]
    if len(up) > POOLED or len(up) == 1:
        releases = [(_left(job, at), job.cores, job.gpus) for job in load.running]
        return [Profile.of(load.cores_free, load.gpus_free, releases)]
    placed = _placed(up, load.running)
    given = {name: [(_left(job, at), cores, gpus) for job, cores, gpus in jobs] for name, jobs in placed.items()}
    return [
        Profile.of(node.cores - node.cores_used, node.gpus - node.gpus_used, given.get(node.name, ())) for node in up
    ]


def _left(job: Booking, at: datetime) -> float:
    """Returns the seconds left; a job past its limit counts as about to end."""
    return max(1.0, (job.ends_at - at).total_seconds())


def _placed(nodes: Sequence[NodeLoad], running: Iterable[Booking]) -> dict[str, list[tuple[Booking, int, int]]]:
    """Returns each job's share of each of its nodes. If a node is not reported, it is taken to be a node whose use no
    other job explains."""
    unexplained = {node.name: [node.cores_used, node.gpus_used] for node in nodes}
    placed: dict[str, list[tuple[Booking, int, int]]] = defaultdict(list)
    for job in sorted(running, key=lambda one: (not one.node, -one.cores)):
        cores, gpus = _share(job)
        said = [job.node] if job.node in unexplained else []
        rest = sorted(
            (name for name in unexplained if name not in said),
            key=lambda name: _mismatch(unexplained[name], cores, gpus),
        )
        for name in (said + rest)[: max(job.nodes, 1)]:
            placed[name].append((job, cores, gpus))
            unexplained[name][0] -= cores
            unexplained[name][1] -= gpus
    return placed


def _mismatch(left: Sequence[int], cores: int, gpus: int) -> tuple[bool, int]:
    """Sorts the nodes with room first, and of these the tightest first."""
    return (left[0] < cores or left[1] < gpus, abs(left[0] - cores) + abs(left[1] - gpus))
