"""How many jobs a cluster asks for: `scale` and `adapt` in the words of Dask and dask-jobqueue."""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-call, override, union-attr, assignment"
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from distributed.core import Status
from distributed.deploy.spec import SpecCluster
from distributed.utils import NoOpAwaitable

from ...errors import BadOption
from .adaptive import DEFAULTS, UNKNOWN_TASK_S, FederatedAdaptive
from .job import job_class
from .metering import Meters
from .repair import Budget
from .sizes import MOST_JOBS, Size, Target, range_of, surplus, target, unlimited
from .submitter import Submitter

Json = dict[str, Any]
BOUNDS = tuple(f"{end}_{unit}" for end in ("minimum", "maximum") for unit in ("jobs", "cores", "memory"))
ADAPTIVE = ("interval", "wait_count", "target_duration", "worker_key")  # that Dask's Adaptive takes besides


class Scales(Meters, SpecCluster):
    """Mixin of FederatedCluster: changes `worker_spec`, the jobs that are asked for."""

    _prefix: str
    _count: int
    _sizes: list[Size]  # of the jobs at first; the first is that of new ones
    _wanted: list[Size]  # what was asked for last
    _relief: dict[str, str]  # the job that takes over from another before its walltime ends
    _held: list[Size]  # lost jobs that are not replaced yet: see reconciler.py
    _submitter: Submitter
    _budget: Budget
    _job_options: Json
    _env: Mapping[str, str]
    _problem: Json | None

    def _seen(self) -> set[str]:
        """Returns the names of the connected workers."""
        return {one["name"] for one in list(self.scheduler_info["workers"].values())}

    def _moving(self) -> bool:
        """Returns whether a job has not connected yet."""
        return not set(self.worker_spec) <= self._seen()

    def _entry(self, size: Size) -> tuple[str, Json]:
        """Returns a new job's name, which is never reused, and its specification."""
        name = f"{self._prefix}-{self._count}"
        self._count += 1
        return name, {"cls": job_class(), "options": self._options(size), "size": size, "made_at": time.monotonic()}

    def _options(self, size: Size) -> Json:
        extra = [*self._job_options["worker_extra_args"], *(["--resources", f"GPU={size.gpus}"] if size.gpus else [])]
        mine = {"worker_extra_args": extra, "submitter": self._submitter, "size": size, "env": self._env}
        return {**self._job_options, **mine}

    def new_worker_spec(self) -> dict[str, Json]:
        return dict([self._entry(self._sizes[0])])

    def scale(self, n: int | None = None, jobs: int | None = None, memory: Any = None, cores: int | None = None) -> Any:
        """Scales to `n` workers or `jobs` jobs (each job has one worker), or to at least so many `cores` or so much
        `memory` ("64G"); without any, to what was asked for last. Waiting jobs are removed first; the results of
        working jobs are moved to other workers before these jobs end. Resets the count of failed starts."""
        wanted = target("scale", self._sizes[0], n=n, jobs=jobs, cores=cores, memory=memory)
        have = {name: entry["size"] for name, entry in self._places().items()}
        if wanted is None:
            going: list[str] = []
            new = [*(Counter(self._wanted) - Counter(have.values())).elements()]
        else:
            going, new = self._difference(wanted)
        if new and not self._may_grow():
            raise self._limit.refusal(self.cost)
        self._budget.reset()
        self._problem, self._held = None, []
        self._wanted = [*(size for name, size in have.items() if name not in going), *new]
        return self._change(going, new)

    scale_up = scale

    def _difference(self, wanted: Target) -> tuple[list[str], list[Size]]:
        """Returns the names of the jobs to remove, and the jobs to add."""
        seen, have = self._seen(), {name: entry["size"] for name, entry in self._places().items()}
        each = [(name, wanted.of(size), name in seen) for name, size in have.items()]
        return surplus(each, wanted.amount), wanted.missing([*have.values()], self._sizes[0])

    def _places(self) -> dict[str, Json]:
        """Returns the jobs that count: without those that are to take over from another that is still there."""
        relief = {new for old, new in self._relief.items() if old in self.worker_spec}
        return {name: entry for name, entry in self.worker_spec.items() if name not in relief}

    @property
    def plan(self) -> set[str]:
        """Returns the jobs that Adaptive counts."""
        return {*self._places()}

    @property
    def requested(self) -> set[str]:
        return self.plan & self.workers.keys()

    def grow(self, jobs: int) -> None:
        """Adds jobs for Adaptive: none while starts keep failing, or once the budget is used up."""
        if not self._budget.spent and self._may_grow():
            self._change(*self._difference(Target("jobs", jobs)))

    def _change(self, going: Sequence[str], new: Sequence[Size]) -> Any:
        for name in going:
            self.worker_spec.pop(name, None)
            self.worker_spec.pop(self._relief.pop(name, ""), None)
        if self.status not in (Status.closing, Status.closed):
            self.worker_spec.update(self._entry(size) for size in new)
        self.loop.add_callback(self._correct_state)
        return NoOpAwaitable() if self.asynchronous else None

    def adapt(
        self,
        Adaptive: Any = FederatedAdaptive,
        minimum: int | None = None,
        maximum: float | None = None,
        **settings: Any,
    ) -> Any:
        """Runs as many jobs as the work needs, from a minimum (0) to a maximum (the cluster's size when it was made),
        and never more than the project's quota allows. The bounds are in workers, or minimum_jobs, maximum_jobs,
        minimum_cores, maximum_cores, minimum_memory, maximum_memory. Further settings are those of Dask's Adaptive:
        interval, wait_count, target_duration, worker_key. Times are those of a queue, not of a cloud: see
        adaptive.py."""
        if unknown := [name for name in settings if name not in (*BOUNDS, *ADAPTIVE)]:
            raise BadOption(f"adapt takes no {unknown[0]}.", hint=f"It takes {', '.join((*BOUNDS, *ADAPTIVE))}.")
        size, no_limit = self._sizes[0], unlimited(maximum)
        given = {"minimum": minimum, "maximum": None if no_limit else maximum}
        bounds = given | {name: settings.pop(name, None) for name in BOUNDS}
        least, most = (
            target("adapt", size, **{name: value for name, value in bounds.items() if name.startswith(end)})
            for end in ("minimum", "maximum")
        )
        quota = self._submitter.core_quota if self._submitter.core_quota is not None else self._submitter.read_quota()
        cap = max(1, quota // size.cores) if quota else MOST_JOBS
        low, high = range_of(size, MOST_JOBS if no_limit else len(self._sizes), least, most, cap)
        self.scheduler.UNKNOWN_TASK_DURATION = UNKNOWN_TASK_S
        return super().adapt(Adaptive=Adaptive, minimum=low, maximum=high, **{**DEFAULTS, **settings})
