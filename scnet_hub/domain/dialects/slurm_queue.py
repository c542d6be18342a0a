"""Interprets the queue of Slurm as squeue prints it: one row of a look, the order of waiting jobs, and what runs and
waits in each partition.

Knows the meaning of a row; `slurm` makes and frames the query. A waiting array is one row for all its tasks
(`slurm_arrays`); a job's GPUs are in four fields (`slurm_gres`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from ...errors import BadOption
from ...units import parse_walltime
from ..jobs import Booking, JobState, NodeLoad, PartitionLoad, Waiting
from . import slurm_arrays, slurm_gres
from .command_checks import AHEAD, FOR_EVER, ends_at, number
from .slurm_accounting import state_of, time_of

# Reasons by which a job can never start as it was submitted, by Slurm's own account (squeue(1), "job reason codes";
# without EnforcePartLimits an impossible size is accepted and waits for ever as PartitionConfig).
HOPELESS = frozenset(
    {"PartitionConfig", "PartitionTimeLimit", "BadConstraints", "InvalidAccount", "InvalidQOS", "AccountNotAllowed",
    "QOSNotAllowed",
     "DependencyNeverSatisfied", "AssocMaxWallDurationPerJobLimit", "QOSMaxWallDurationPerJobLimit",
     "AssocMaxCpuPerJobLimit", "QOSMaxCpuPerJobLimit", "AssocMaxNodePerJobLimit", "QOSMaxNodePerJobLimit",
     "AssocMaxMemPerJob", "QOSMaxMemoryPerJob"}
)  # fmt: skip
STANDS_ASIDE = HOPELESS | frozenset(
    {"JobHeldUser", "JobHeldAdmin", "Dependency", "DependencyNeverSatisfied", "BeginTime", "JobArrayTaskLimit"}
)
ALONE = "N/A"  # the tasks of a job that is not an array


class Row(NamedTuple):
    """One row of a look, in squeue's own words: a job, or all waiting tasks of an array."""

    job: str
    state: str
    node: str
    start: str
    partitions: str
    cores: str
    limit: str
    gpus_per_node: str
    gpus_per_job: str
    gpus_per_task: str
    gpus_per_socket: str
    nodes: str
    tasks: str
    priority: str
    array: str
    array_tasks: str
    reason: str
    name: str


# squeue(1), --Format, in the order of `Row`: the letters of --format have no tres-per-job, where --gpus is. The name of
# another user's job may hold any text, even line ends and whole rows: so it comes last and has a fixed width, the width
# of our names.
NAME_WIDTH = 21
FIELDS = (
    "JobID", "State", "BatchHost", "StartTime", "Partition", "NumCPUs", "TimeLimit", "tres-per-node", "tres-per-job",
    "tres-per-task", "tres-per-socket", "NumNodes", "NumTasks", "PriorityLong", "ArrayJobID", "ArrayTaskID", "Reason",
)  # fmt: skip
FORMAT = ",".join((*(f"{field}:|" for field in FIELDS), f"Name:.{NAME_WIDTH}|."))


class Line(NamedTuple):
    """A row that waits for its turn, with the number of jobs that it stands for."""

    row: Row
    jobs: int


def lines(rows: Sequence[Row]) -> dict[str, list[Line]]:
    """Returns the waiting rows for each partition, or list of partitions, in the order of their turns. Held and
    hopeless jobs are left out, because they delay no other job; an array with its own limit counts as many tasks as it
    lets run."""
    running = Counter(row.array for row in rows if row.array_tasks != ALONE and state_of(row.state) is JobState.RUNNING)
    waiting: dict[str, list[Line]] = defaultdict(list)
    for row in rows:
        if state_of(row.state) is JobState.QUEUED and row.reason not in STANDS_ASIDE:
            jobs = 1
            if row.array_tasks != ALONE:
                jobs = slurm_arrays.may_start(slurm_arrays.tasks_of(row.array_tasks), running[row.array])
            if jobs:
                waiting[row.partitions].append(Line(row, jobs))
    return {partitions: sorted(line, key=_turn) for partitions, line in waiting.items()}


def working(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Returns the running rows, by partition."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if state_of(row.state) is JobState.RUNNING:
            for name in _each_of(row.partitions):
                found[name].append(row)
    return found


def shared(waits: Mapping[str, list[Line]]) -> dict[str, list[list[Line]]]:
    """Returns the `lines` that wait for a partition, by partition: users may list several partitions, in any order."""
    found: dict[str, list[list[Line]]] = defaultdict(list)
    for whose, line in waits.items():
        for name in _each_of(whose):
            found[name].append(line)
    return found


def _each_of(partitions: str) -> Iterable[str]:
    return dict.fromkeys(partitions.split(","))


def places(waits: Mapping[str, Sequence[Line]]) -> dict[str, int]:
    """Returns the place of each waiting job: the number of jobs before it in its line, plus one."""
    found: dict[str, int] = {}
    for line in waits.values():
        place = 1
        for row, jobs in line:
            found[row.job] = place
            place += jobs
    return found


def load(
    name: str,
    nodes: tuple[NodeLoad, ...],
    working: Sequence[Row],
    here: Sequence[list[Line]],
    at: datetime,
    names: tuple[str, ...],
) -> PartitionLoad:
    """Makes one partition's load from its running rows and the `lines` of its waiting rows; `names` are the
    accelerators that count as GPUs."""
    running = _running(working, at, names)
    waiting = here[0] if len(here) == 1 else sorted((one for line in here for one in line), key=_turn)
    return PartitionLoad(
        name=name, nodes=nodes, queued_jobs=sum(one.jobs for one in waiting),
        queued_cores=sum(number(one.row.cores) * one.jobs for one in waiting),
        running_jobs=len(running), running=tuple(running), waiting=tuple(islice(_each(waiting, names), AHEAD)),
    )  # fmt: skip


def _turn(one: Line) -> tuple[int, int]:
    return (-number(one.row.priority), int(one.row.job))


def _running(rows: Iterable[Row], at: datetime, names: tuple[str, ...]) -> list[Booking]:
    """Returns the running jobs' bookings. A job without a limit, or without a start time, is assumed to stay."""
    return [
        Booking(
            ends_at=ends_at(time_of(row.start) or at, limit_of(row.limit) or FOR_EVER, at),
            cores=number(row.cores),
            gpus=_gpus_of(row, names),
            nodes=_nodes_of(row),
            node="" if row.node == "n/a" else row.node,
        )
        for row in rows
    ]


def _each(waiting: Iterable[Line], names: tuple[str, ...]) -> Iterator[Waiting]:
    for row, jobs in waiting:
        one = Waiting(
            cores=number(row.cores), gpus=_gpus_of(row, names), nodes=_nodes_of(row), walltime=limit_of(row.limit)
        )
        yield from (one for _ in range(jobs))


def _gpus_of(row: Row, names: tuple[str, ...]) -> int:
    if row.gpus_per_node == row.gpus_per_job == row.gpus_per_task == row.gpus_per_socket == "N/A":
        return 0
    return slurm_gres.asked(
        row.gpus_per_node, row.gpus_per_job, row.gpus_per_task, row.gpus_per_socket,
        nodes=_nodes_of(row), tasks=number(row.tasks), names=names,
    )  # fmt: skip


def _nodes_of(row: Row) -> int:
    """Returns the number of nodes. A waiting job may have a range, "2-4"."""
    return max(number(row.nodes.split("-")[0]), 1)


@lru_cache(maxsize=4096)  # users write few limits, and a long queue repeats them
def limit_of(text: str) -> timedelta | None:
    try:
        return parse_walltime(text)
    except BadOption:
        return None  # "infinite", "n/a"
