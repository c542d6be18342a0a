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
import os
import secrets
import shlex
import weakref
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from distributed.core import Status
from distributed.deploy.cluster import Cluster
from distributed.security import Security
from distributed.utils import Log, Logs

from ...errors import ScnetError
from ...units import parse_walltime
from ..rest import Client
from .guard import Guard, guard_of
from .job import BrokerJob, job_class
from .network import dashboard_link, dashboard_path, listening_host, own_centre
from .reconciler import Reconciles
from .repair import Budget
from .scheduler import scheduler_spec
from .sizes import Adaptive, Size
from .spending import SpendingLimit
from .submitter import Submitter
from .worker import job_options, worker_env

Json = dict[str, Any]
FAST, STEADY, RETIRE_WITHIN, RETIRE_AGAIN = 2.0, 10.0, 60.0, 0.5  # seconds
_living: weakref.WeakSet[FederatedCluster] = weakref.WeakSet()


class FederatedCluster(Reconciles):
    """A Dask cluster, made by `scnet_hub.client.clusters.dask`. Further settings:

    idle_timeout    "20m": the cluster closes after this time without work (waiting in a queue is not idleness)
    budget          20: credits; once they are used up no more jobs start, and workers end as soon as nothing is lost
    restarts        3: rounds of starts that may fail in a row before the cluster stops trying
    death_timeout   300 s: a worker that can't reach its scheduler for this time ends its job
    host            where the scheduler listens; default: SCNET_HOST, this session's own address, else loopback
    worker_args     more words for the `dask worker` command; tick: seconds between looks, while moving and when calm
    asynchronous    True in a coroutine: `async with dask(..., asynchronous=True) as cluster`
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
        budget: float | str | None = None,
        restarts: int = 3,
        death_timeout: float = 300,
        host: str = "",
        worker_args: Sequence[str] = (),
        tick: tuple[float, float] = (FAST, STEADY),
        asynchronous: bool = False,
    ) -> None:
        job_class()  # dask_jobqueue can be imported by the main thread only
        self._length = length = parse_walltime(walltime)
        epoch = secrets.token_hex(2)
        self._label = name or f"dask-{epoch}"
        self._prefix = f"{name}-{epoch}" if name else self._label  # never the name of an older cluster's job
        self._count = 0
        self._sizes, self._wanted, self._held = list(sizes), list(sizes), []
        self._first_adaptive = adaptive
        host = host or listening_host()
        self._submitter = Submitter(
            client,
            walltime_s=length.total_seconds(),
            project=project,
            centre=centre or own_centre(host),
            session=os.environ.get("SCNET_SESSION", ""),
        )
        self._budget, self._limit = Budget(restarts), SpendingLimit.of(budget)
        self._tick = tick
        self._problem: Json | None = None
        self._refused = 0
        self._relief = {}
        self._care: asyncio.Task[None] | None = None
        self._guard: Guard | None = None
        self._leaving = False
        self._wake = asyncio.Event()
        tls = Security.temporary()
        self._env = worker_env(tls)
        # clients of loopback are on this machine, and stay on it
        near = ["--host", "127.0.0.1"] if host.startswith("127.") else []
        self._job_options = job_options(length, death_timeout, [*near, *worker_args])
        scheduler = scheduler_spec(host, tls, idle_timeout)
        _living.add(self)
        try:
            super().__init__(
                scheduler=scheduler, worker={"cls": BrokerJob}, security=tls, name=self._label,
                silence_logs=logging.WARNING, asynchronous=asynchronous,
            )  # fmt: skip
        except BaseException:
            self._submitter.stop_all(within=10)  # after Ctrl-C `_close` may not have come to this
            self._loop_runner.stop()
            raise

    async def _start(self) -> None:
        await super()._start()
        if self._care is not None or self.status != Status.running:
            return
        self._guard = await asyncio.to_thread(guard_of, self._submitter.client)
        self._guard.open(self._prefix)
        self._care = asyncio.ensure_future(self._look_after())
        try:
            await self._begin()
        except BaseException:
            await self._close()
            raise

    async def _begin(self) -> None:
        """Starts the first job before the cluster is there, so that its maker sees a refusal; the other jobs follow."""
        if self._dashboard_port and (path := dashboard_path(self._dashboard_port)):
            self._submitter.options["dashboard"] = path
        if len(self._sizes) > 1:
            everything = not self._first_adaptive
            await asyncio.to_thread(self._submitter.place, self._sizes, all_of_them=everything)
        (name, entry), *rest = [self._entry(size) for size in self._sizes]
        job = entry["cls"](self.scheduler_address, name, **entry["options"])
        session = await asyncio.to_thread(self._submitter.submit, name, entry["size"], job.argv, self._env)
        entry["options"]["session_id"] = session["id"]
        self.worker_spec[name] = entry
        if self._first_adaptive or self.asynchronous:  # a coroutine that calls adapt() must not wait for the broker
            await asyncio.to_thread(self._submitter.read_quota)
        if adaptive := self._first_adaptive:
            least, most = adaptive if isinstance(adaptive, tuple) else (0, len(self._sizes))
            self.adapt(minimum=least, maximum=most)
        else:
            self.worker_spec.update(rest)

    async def _correct_state_internal(self) -> None:
        """Retires workers by name first: SpecCluster passes names as addresses, which loses their results
        (distributed#4069)."""
        tried: set[str] = set()
        while leaving := [name for name in self._leaving_workers() if name not in tried]:  # more may leave meanwhile
            tried.update(leaving)
            try:
                await asyncio.wait_for(self._retire(leaving), RETIRE_WITHIN)
            except Exception as error:
                why = type(error).__name__
                self._submitter.note(f"Not all results of {', '.join(leaving)} could be moved ({why}).")
        await super()._correct_state_internal()

    def _leaving_workers(self) -> list[str]:
        """Returns the workers that are connected and not wanted any more, while the scheduler can retire workers."""
        if self.status != Status.running or self.scheduler.status != Status.running:
            return []
        return [name for name in self.workers if name not in self.worker_spec and name in self._seen()]

    async def _retire(self, names: Sequence[str]) -> None:
        """Moves the results of these workers to the others. A worker that has just connected can't take results yet,
        and the scheduler gives up at once then: tries again while there are others."""
        left = set(names)
        while left and self._seen() - set(names):
            retired = await self.scheduler_comm.retire_workers(names=[*left], close_workers=False, remove=False)
            left = (left - {one["name"] for one in retired.values()}) & self._seen()
            await asyncio.sleep(RETIRE_AGAIN if left else 0)

    def _update_worker_status(self, op: str, msg: Any) -> None:
        """Calls Cluster's method, not SpecCluster's, which drops a lost worker's job after 15 s and leaves its
        specification behind."""
        Cluster._update_worker_status(self, op, msg)
        self._wake.set()

    async def _close(self) -> None:
        self._leaving = self._submitter.closing = True
        if self._care and self._care is not asyncio.current_task():
            self._care.cancel()
        await super()._close()
        with contextlib.suppress(ScnetError, RuntimeError):  # at the interpreter's exit no thread can be started
            if not await asyncio.to_thread(self._submitter.stop_all) and self._guard:
                self._guard.closed(self._prefix)
            await asyncio.to_thread(self._submitter.refresh)
        self._publish()

    # ---- what a person asks of it

    @property
    def dashboard_link(self) -> str:
        return dashboard_link(self._dashboard_port) if self._dashboard_port else ""

    @property
    def _dashboard_port(self) -> int:
        return int(self.scheduler_info.get("services", {}).get("dashboard") or 0)

    async def _wait_for_workers(self, n_workers: int = 0, timeout: Any = None) -> None:
        """Waits as Dask does, but not for workers that no job is asked for any more: raises their problem."""
        waiting = asyncio.ensure_future(super()._wait_for_workers(n_workers, timeout))
        while not waiting.done():
            await asyncio.wait({waiting}, timeout=self._tick[0])
            problem = self._problem or self._limit.problem(self.cost)
            if not waiting.done() and problem and not problem.get("passing") and len(self.worker_spec) < n_workers:
                waiting.cancel()
                raise ScnetError(problem["title"], hint=problem["hint"])
        await waiting

    def job_script(self) -> str:
        """Returns a job's program as a shell script, without the cluster's keys. The centre's scheduler gets it in its
        own words."""
        size = self._sizes[0]
        job = job_class()(self.scheduler_address, f"{self._prefix}-N", **self._options(size))
        open_env = {name: value for name, value in self._env.items() if "\n" not in value}
        lines = [
            f"# {size.cores} cores, {size.gpus} GPUs, {size.memory or 'the centre`s share of'} bytes of memory,"
            f" walltime {self._submitter.options['walltime']}",
            *(f"export {name}={shlex.quote(value)}" for name, value in open_env.items()),
            shlex.join(job.argv),
        ]
        return "\n".join(["#!/bin/sh", *lines, ""])

    def logs(self, lines: int = 200) -> Any:
        """Returns the last lines of each job's output by the job's name, of jobs that have ended too."""
        return self.sync(self._logs, lines)

    async def _logs(self, lines: int) -> Logs:
        names = {key: session["name"] for key, session in self._submitter.sessions.items()}
        read = self._submitter.last_words
        return Logs({name: Log(await asyncio.to_thread(read, key, lines)) for key, name in names.items()})


@atexit.register  # after distributed's own handler, so run before it: later no thread pool is left for the stops
def _stop_what_is_left() -> None:
    for cluster in list(_living):
        cluster._leaving = True
        if not cluster._submitter.stop_all(within=10) and cluster._guard:
            cluster._guard.closed(cluster._prefix)
