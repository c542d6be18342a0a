"""FederatedCluster: a Dask cluster whose worker jobs are sessions of the federation.

A SpecCluster composed of `BrokerJob`s: the scheduler runs beside the kernel with TLS, the jobs go through the broker
(the same placement, hold and metering as all sessions), and a reconciler compares the requested jobs with the jobs that
the broker and the scheduler see. It doesn't know schedulers, prices or SSH; decisions are in sizes.py and repair.py,
words in summary.py.
"""

from __future__ import annotations

# distributed's types are partial: optional attributes that a started cluster always has, untyped calls, loose
# signatures.
# mypy: disable-error-code="union-attr, no-untyped-call, override, assignment"
import asyncio
import atexit
import contextlib
import logging
import secrets
import time
import weakref
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from distributed import Scheduler
from distributed.core import Status
from distributed.deploy.cluster import Cluster
from distributed.deploy.spec import SpecCluster
from distributed.metrics import time as dask_time
from distributed.security import Security
from distributed.utils import NoOpAwaitable

from ...display import endings
from ...errors import BadOption, ScnetError
from ...units import parse_walltime
from ..rest import Client
from .activity import has_work, mark
from .adaptive import DEFAULTS, UNKNOWN_TASK_S, FederatedAdaptive
from .display import ShowsItself
from .job import BrokerJob, job_class
from .network import dashboard_link, listening_host, own_centre
from .repair import Action, Budget, Facts, verdict
from .sizes import Adaptive, Size, split, surplus
from .submitter import Submitter
from .worker import job_options, worker_env

Json = dict[str, Any]
log = logging.getLogger(__name__)
FAST, STEADY, RETIRE_WITHIN = 2.0, 10.0, 60.0  # seconds
_living: weakref.WeakSet[FederatedCluster] = weakref.WeakSet()


class FederatedCluster(ShowsItself, SpecCluster):
    """A Dask cluster, made by `scnet_hub.client.clusters.dask`. Further settings:

    idle_timeout    "20m": the cluster closes after this time without work (waiting in a queue is not idleness)
    restarts        3: starts that may fail in a row before the cluster stops trying
    death_timeout   300 s: a worker that can't reach its scheduler for this time ends its job
    host            where the scheduler listens; default: SCNET_HOST, this session's own address, else loopback
    worker_args     more words for the `dask worker` command; tick: seconds between looks, while moving and when calm
    """

    def __init__(
        self,
        client: Client,
        sizes: Sequence[Size],
        *,
        name: str | None = None,
        walltime: str | float | timedelta = "1h",
        project: str = "",
        centre: str = "",
        adaptive: Adaptive = None,
        idle_timeout: str | float | timedelta | None = "20m",
        restarts: int = 3,
        death_timeout: float = 300,
        host: str = "",
        worker_args: Sequence[str] = (),
        tick: tuple[float, float] = (FAST, STEADY),
    ) -> None:
        length = parse_walltime(walltime)
        epoch = secrets.token_hex(2)
        self._label = name or f"dask-{epoch}"
        self._prefix = f"{name}-{epoch}" if name else self._label  # never the name of an older cluster's job
        self._count = 0
        self._sizes = list(sizes)
        host = host or listening_host()
        self._submitter = Submitter(
            client, walltime_s=length.total_seconds(), project=project, centre=centre or own_centre(host)
        )
        self._budget = Budget(restarts)
        self._tick, self._asked_at = tick, 0.0
        self._problem: Json | None = None
        self._refused = 0
        self._care: asyncio.Task[None] | None = None
        self._leaving = False
        self._wake = asyncio.Event()
        tls = Security.temporary()
        self._env = worker_env(tls)
        # clients of loopback are on this machine, and stay on it
        near = ["--host", "127.0.0.1"] if host.startswith("127.") else []
        self._job_options = job_options(length, death_timeout, [*near, *worker_args])
        idle = parse_walltime(idle_timeout, option="idle_timeout").total_seconds() if idle_timeout else None
        listen = {"host": host, "port": 0, "protocol": "tls://", "dashboard_address": "127.0.0.1:0"}
        scheduler = {"cls": Scheduler, "options": {**listen, "security": tls, "idle_timeout": idle}}
        super().__init__(
            scheduler=scheduler, worker={"cls": BrokerJob}, security=tls, name=self._label, silence_logs=logging.WARNING
        )
        _living.add(self)
        try:
            self._begin(adaptive)
        except BaseException:
            self.close()
            raise

    # ---- asking for jobs

    def _begin(self, adaptive: Adaptive) -> None:
        """Starts the first job in the caller's thread, so that the caller sees a refusal; the other jobs follow."""
        if len(self._sizes) > 1:
            self._submitter.place(self._sizes)
        (name, entry), *rest = [self._entry(size) for size in self._sizes]
        job = entry["cls"](self.scheduler_address, name, **entry["options"])
        session = self._submitter.submit(name, entry["size"], job.argv, self._env)
        entry["options"]["session_id"] = session["id"]
        self.worker_spec[name] = entry
        if adaptive:
            least, most = adaptive if isinstance(adaptive, tuple) else (0, len(self._sizes))
            self.adapt(minimum=least, maximum=most)
        else:
            self.worker_spec.update(rest)
        self.loop.add_callback(self._correct_state)

    def _entry(self, size: Size) -> tuple[str, Json]:
        """Returns a new job's name, which is never reused, and its specification."""
        name = f"{self._prefix}-{self._count}"
        self._count += 1
        extra = [*self._job_options["worker_extra_args"], *(["--resources", f"GPU={size.gpus}"] if size.gpus else [])]
        mine = {"worker_extra_args": extra, "submitter": self._submitter, "size": size, "env": self._env}
        options = {**self._job_options, **mine}
        return name, {"cls": job_class(), "options": options, "size": size}

    def new_worker_spec(self) -> dict[str, Json]:
        return dict([self._entry(self._sizes[0])])

    def scale(self, n: int | None = None, jobs: int | None = None, memory: Any = None, cores: int | None = None) -> Any:
        """Scales to `n` jobs, or to at least `cores` cores. Waiting jobs are removed first; the results of working jobs
        are moved to other workers before these jobs end. Resets the count of failed starts."""
        if memory is not None:
            raise BadOption(
                "scale() counts jobs or cores, not memory.", hint="cluster.scale(4) or cluster.scale(cores=16)."
            )
        self._budget.reset()
        self._problem, self._refused = None, 0
        if cores is None:
            return self._scale_to(jobs if n is None and jobs is not None else n or 0)
        going = surplus(
            [(name, entry["size"].cores, name in self._seen()) for name, entry in self.worker_spec.items()], cores
        )
        missing = cores - sum(entry["size"].cores for entry in self.worker_spec.values())
        return self._change(going, split(missing, most=self._sizes[0].cores) if missing > 0 else ())

    scale_up = scale

    def _scale_to(self, jobs: int) -> Any:
        going = surplus([(name, 1, name in self._seen()) for name in self.worker_spec], jobs)
        return self._change(going, [self._sizes[0]] * (jobs - len(self.worker_spec)))

    def grow(self, jobs: int) -> None:
        """Adds jobs for Adaptive: none while starts keep failing."""
        if not self._budget.spent:
            self._scale_to(jobs)

    def _change(self, going: Sequence[str], new: Sequence[Size]) -> Any:
        for name in going:
            self.worker_spec.pop(name, None)
        if self.status not in (Status.closing, Status.closed):
            self.worker_spec.update(self._entry(size) for size in new)
        self.loop.add_callback(self._correct_state)
        return NoOpAwaitable() if self.asynchronous else None

    def adapt(
        self, Adaptive: Any = FederatedAdaptive, minimum: int = 0, maximum: int | None = None, **settings: Any
    ) -> Any:
        """Runs as many jobs as the work needs, from `minimum` to `maximum` (default: the cluster's size when it was
        made), and never more than the project's quota allows. Times are those of a queue, not of a cloud: see
        adaptive.py."""
        most = min(maximum if maximum is not None else len(self._sizes), self._quota_jobs())
        if minimum > most or most < 1:
            raise BadOption(
                f"adapt: from {minimum} to {most} jobs is not possible.",
                hint="The maximum is capped by your core quota.",
            )
        self.scheduler.UNKNOWN_TASK_DURATION = UNKNOWN_TASK_S
        return super().adapt(Adaptive=Adaptive, minimum=minimum, maximum=most, **{**DEFAULTS, **settings})

    def _quota_jobs(self) -> int:
        project = (self._submitter.first or {}).get("project")
        limits = [one["quota"]["cores"]["limit"] for one in self._submitter.client.balance() if one["id"] == project]
        return max(1, limits[0] // self._sizes[0].cores) if limits and limits[0] else len(self._sizes) * 1000

    # ---- keeping what was asked for

    async def _start(self) -> None:
        await super()._start()
        if self._care is None:
            self._care = asyncio.ensure_future(self._look_after())

    async def _look_after(self) -> None:
        while self.status == Status.running and not self._leaving:
            try:
                await self._reconcile()
            except Exception:
                log.exception("the cluster's reconciler failed; it continues")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._tick[0] if self._moving() else self._tick[1])
            self._wake.clear()

    async def _reconcile(self) -> None:
        """Compares the wanted with the actual state once, and acts on the difference."""
        if self.scheduler.status in (Status.closing, Status.closed):
            self._submitter.note("Closed after the idle timeout without work.")
            self.shutdown_scheduler = False  # it has closed already; another request would wait 30 s for an answer
            self.loop.add_callback(self._close)
            return
        if has_work(self.scheduler):
            mark(self._label)
        seen = self._seen()
        jobs = list(self.workers.items())
        for name, job in jobs:
            job.seen(name in seen)
        if self._moving() and self.scheduler.idle_since:
            self.scheduler.idle_since = dask_time()
        if await self._ask():
            for name, job in jobs:
                await self._settle(name, job, name in seen)
        self._publish()

    async def _ask(self) -> bool:
        """Reads the sessions from the broker; returns False if the broker does not answer: then nothing is decided."""
        if time.monotonic() - self._asked_at < self._tick[0] * 0.9:
            return True
        self._asked_at = time.monotonic()
        try:
            await asyncio.to_thread(self._submitter.refresh)
        except ScnetError as error:
            self._problem = {"title": str(error), "hint": error.hint, "passing": True}
            return False
        if self._problem and self._problem.get("passing"):
            self._problem = None
        return True

    async def _settle(self, name: str, job: Any, connected: bool) -> None:
        """Carries out the verdict on one job."""
        session = job.session
        away = None if not job.last_seen or connected else time.monotonic() - job.last_seen
        facts = Facts(
            live=session.get("live"), connected=connected, away=away, refused=job.refused, failed=job.failed,
            end_reason=endings.cause(session), unpaid=self._submitter.unpaid(job.session_id, datetime.now(UTC)),
        )  # fmt: skip
        action, why = verdict(facts)
        if action is Action.KEEP or name not in self.worker_spec or self._leaving:
            return
        size = self.worker_spec.pop(name)["size"]
        if facts.unpaid:
            self._submitter.note(f"{name} ends: {why}")
            self._problem = {
                "title": why,
                "hint": "When the project has credits again, call cluster.scale() to request jobs again.",
            }
        if action is Action.RETIRE:
            self.loop.add_callback(self._correct_state)
            return
        self.workers.pop(name, None)
        await job.close()
        if facts.unpaid:
            return
        if action is Action.DROP:
            self._refused += 1
            what = f"{name} was refused" if self._refused == 1 else f"{self._refused} jobs were refused"
            self._problem = {"title": f"{what}: {why}", "hint": "Call cluster.scale() to request jobs again."}
        elif self._budget.count(job.worked):
            self._replace(name, why, size)
        else:
            await self._give_up(job, why)

    def _replace(self, name: str, why: str, size: Size) -> None:
        if self._adaptive and self._adaptive.periodic_callback:
            self._submitter.note(f"{name} was lost: {why.rstrip('.')}.")
            return
        new, entry = self._entry(size)
        self._submitter.note(f"{name} was lost: {why.rstrip('.')}. {new} takes its place.")
        self.worker_spec[new] = entry
        self.loop.add_callback(self._correct_state)

    async def _give_up(self, job: Any, why: str) -> None:
        tail = await asyncio.to_thread(self._submitter.last_words, job.session_id) if job.session_id else ""
        self._problem = self._budget.problem(why, tail)

    async def _correct_state_internal(self) -> None:
        """Retires workers by name first: SpecCluster passes names as addresses, which loses their results
        (distributed#4069)."""
        leaving = [name for name in self.workers if name not in self.worker_spec and name in self._seen()]
        if leaving and self.status == Status.running and self.scheduler.status == Status.running:
            try:
                retire = self.scheduler_comm.retire_workers(names=leaving, close_workers=False, remove=False)
                await asyncio.wait_for(retire, RETIRE_WITHIN)
            except Exception as error:
                why = type(error).__name__
                self._submitter.note(f"Not all results of {', '.join(leaving)} could be moved ({why}).")
        await super()._correct_state_internal()

    def _update_worker_status(self, op: str, msg: Any) -> None:
        """Calls Cluster's method, not SpecCluster's, which drops a lost worker's job after 15 s and leaves its
        specification behind."""
        Cluster._update_worker_status(self, op, msg)
        self._wake.set()

    async def _close(self) -> None:
        self._leaving = True
        if self._care and self._care is not asyncio.current_task():
            self._care.cancel()
        await super()._close()
        with contextlib.suppress(ScnetError, RuntimeError):  # at the interpreter's exit no thread can be started
            await asyncio.to_thread(self._submitter.stop_all)
            await asyncio.to_thread(self._submitter.refresh)
        self._publish()

    # ---- what it knows of its workers

    def _seen(self) -> set[str]:
        return {one["name"] for one in list(self.scheduler_info["workers"].values())}

    def _moving(self) -> bool:
        """Returns whether a job has not connected yet."""
        return not set(self.worker_spec) <= self._seen()

    @property
    def dashboard_link(self) -> str:
        port = self.scheduler_info.get("services", {}).get("dashboard")
        return dashboard_link(port) if port else ""


@atexit.register  # after distributed's own handler, so run before it: later no thread pool is left for the stops
def _stop_what_is_left() -> None:
    for cluster in list(_living):
        cluster._leaving = True
        cluster._submitter.stop_all(within=10)
