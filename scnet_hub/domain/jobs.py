"""The job values: a person's request, the job for a centre, and the centre's answers.

`JobRequest → Placement → JobSpec → JobStatus → UsageRecord → Amount → Entry`: these are the first, third, fourth and
fifth. `LoadSnapshot` is a centre's last answer about its partitions. Only facts here, no decisions and no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum


class JobState(Enum):
    """The state of a job, in our words. UNKNOWN is "could not tell", never an end."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"  # node failure, boot failure, preemption: caused by the centre
    UNKNOWN = "unknown"

    @property
    def ended(self) -> bool:
        return self in _ENDED


_ENDED = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED, JobState.LOST})


class Ending(Enum):
    """The cause of the end of a run, as far as its centre's accounting reports it. Charges depend on it."""

    COMPLETED = "completed"
    FAILED = "failed"  # caused by its program
    CANCELLED = "cancelled"  # on request
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out of memory"
    DEADLINE = "deadline"
    REQUEUED = "requeued"  # run again on request; requeues by the scheduler itself have their own words
    NODE_FAILURE = "node failure"
    BOOT_FAILURE = "boot failure"  # its nodes, or the job on them, could not be started
    PREEMPTED = "preempted"
    SITE_FAILURE = "site failure"  # the scheduler's own software, or no request at all


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """A person's request, validated once at the door. `memory` is bytes for the whole job (0: the centre's default for
    so many cores); `centre` and `partition` pin the place ("" = best); `centres` are those that are allowed (empty:
    all) and `max_price` is the most that an hour may cost, in credits, by the person's wish or the project's rules;
    `near` is the centre where their files are ("": not known); `name` is the person's own label (the JupyterHub server
    name for kind "lab"); `ends_with` is the id of the person's session with which this one ends ("": none);
    `second_chance` tells whether a job that does not start is also submitted elsewhere
    (`domain/sessions/movable.py`)."""

    person: str
    project: str
    kind: str = "lab"
    name: str = ""
    cores: int = 1
    memory: int = 0
    gpus: int = 0
    gpu_model: str = ""
    nodes: int = 1
    walltime: timedelta = timedelta(hours=1)
    app: str = ""
    dataset: str = ""
    dashboard: str = ""
    second_chance: str = "auto"
    centre: str = ""
    partition: str = ""
    centres: tuple[str, ...] = ()
    max_price: float | None = None
    near: str = ""
    ends_with: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """The job that a dialect turns into one submission. No secrets: those are in a 0600 file that `argv` names.

    `name` is the session's id and unique for ever; `argv` runs on the node; `output` is where stdout and stderr go."""

    name: str
    partition: str
    argv: tuple[str, ...]
    cores: int = 1
    memory: int = 0
    gpus: int = 0
    gpu_model: str = ""
    nodes: int = 1
    walltime: timedelta = timedelta(hours=1)
    output: str = "/dev/null"
    directory: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """A centre's answer about one job. `reason` is the scheduler's own word; `starts_at` its own estimate, if it has
    one; `place` is the job's position in its queue (0: not known); `hopeless` means that the centre itself says that
    this job can never start; `forgotten` that its queue and its accounting were both asked, and list no such job.
    `name` is the job's, where the centre reports it."""

    state: JobState
    seen_at: datetime
    name: str = ""
    node: str = ""
    reason: str = ""
    starts_at: datetime | None = None
    place: int = 0
    hopeless: bool = False
    forgotten: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRecord:
    """One run of a job in the centre's own accounting, ended or running. `cpu` is CPU time used, `elapsed` wall time
    without suspensions; charges come from `elapsed` x allocated `cores` and `gpus`. `gpu_models` gives their models, as
    far as known; `restart` counts the runs of the job before this one. `ending` is None while it runs or waits,
    `state_raw` the scheduler's own word for it and `ended_by` who cancelled it, by number or name ("": not stated).
    `trouble` names the unreadable parts of its row, and then nothing may be charged by it; if the state is UNKNOWN, no
    other field is valid either."""

    job_id: str
    name: str
    state: JobState
    cores: int
    gpus: int = 0
    memory: int = 0
    submitted_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    elapsed: timedelta = timedelta()
    cpu: timedelta = timedelta()
    node: str = ""
    exit_code: str = ""
    partition: str = ""
    gpu_models: tuple[tuple[str, int], ...] = ()
    restart: int = 0
    ending: Ending | None = None
    ended_by: str = ""
    state_raw: str = ""
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLoad:
    """One node as the scheduler books it (not as it is busy). `up` is False for down, drained, maintenance."""

    name: str
    cores: int
    cores_used: int
    memory: int = 0
    memory_used: int = 0
    gpus: int = 0
    gpus_used: int = 0
    gpu_model: str = ""
    up: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """A running job: the resources that it gives back, at the latest at the end of its limit. `node` is its first node
    ("": not stated)."""

    ends_at: datetime
    cores: int
    gpus: int = 0
    nodes: int = 1
    node: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A queued job and the resources that it waits for. `walltime` is None where the scheduler does not report it."""

    cores: int
    gpus: int = 0
    nodes: int = 1
    walltime: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Backfill:
    """A scheduler's looks for holes beside its queue: the `last` one, their interval, and for how many queued jobs
    (None: not stated)."""

    last: datetime
    every: timedelta
    depth: int | None = None

    def after(self, at: datetime) -> datetime:
        """Returns the first pass after `at` (aware)."""
        return self.last + self.every * ((at - self.last) // self.every + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionLoad:
    """One partition now: its nodes, and the queue before a newcomer (cores include those of other partitions on the
    same nodes only where the scheduler reports them). `running` and `waiting` are its jobs where the scheduler reports
    their limits; `waiting` in its own order, the first to start at the front, and no longer than needed. `reserves` is
    the number of jobs that can't start for which the scheduler reserves places (None: all that it looks at); `backfill`
    is when it looks for holes, and `keeps_nodes` tells whether it reserves nodes as a whole. A job takes `core_unit`
    cores of a node at once, or a multiple of it: two where each core has two threads that are reported as cores. With
    each node it takes at least `node_gpus` GPUs, requested or not: all of them where nodes are not shared."""

    name: str
    nodes: tuple[NodeLoad, ...] = ()
    queued_jobs: int = 0
    queued_cores: int = 0
    running_jobs: int = 0
    max_walltime: timedelta | None = None
    up: bool = True
    running: Sequence[Booking] = ()
    waiting: tuple[Waiting, ...] = ()
    reserves: int | None = None
    backfill: Backfill | None = None
    keeps_nodes: bool = False
    core_unit: int = 1
    node_gpus: int = 0

    def allotted(self, cores: int, gpus: int, nodes: int) -> tuple[int, int]:
        """Returns the cores and GPUs that a job is given, and pays for, if it asks for so many over so many nodes."""
        shares, unit = max(nodes, 1), max(self.core_unit, 1)
        return -(-cores // (shares * unit)) * unit * shares, max(gpus, self.node_gpus * shares)

    @property
    def cores(self) -> int:
        return sum(node.cores for node in self.nodes if node.up)

    @property
    def cores_free(self) -> int:
        return sum(node.cores - node.cores_used for node in self.nodes if node.up)

    @property
    def gpus(self) -> int:
        return sum(node.gpus for node in self.nodes if node.up)

    @property
    def gpus_free(self) -> int:
        return sum(node.gpus - node.gpus_used for node in self.nodes if node.up)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSnapshot:
    """A centre's last answer about all its partitions, and its time. `strange` are words in it that no manual lists,
    each like "node state 'odd'": their nodes and jobs count as neither up, free nor ended. `untracked` are the
    accelerators that its accounting omits, by the scheduler's names: usage records can't tell how many a job had."""

    taken_at: datetime
    partitions: Mapping[str, PartitionLoad] = field(default_factory=dict)
    strange: tuple[str, ...] = ()
    untracked: tuple[str, ...] = ()
