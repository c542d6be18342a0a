"""One worker job: dask-jobqueue's command for the job, started through the broker instead of a local `sbatch`.

`BrokerJob` stands before a dask-jobqueue Job class and overrides how the job starts and ends. A start never raises (one
refusal must not stop SpecCluster from starting the other jobs): it sets `refused` or `failed` to a sentence for the
reconciler.
"""

from __future__ import annotations

import asyncio
import importlib
import shlex
import signal
import sys
import threading
import time
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from distributed.core import Status

from ...errors import CentreError, ScnetError
from .sizes import Size
from .submitter import PASSING, Submitter

Json = dict[str, Any]
FIRST_PAUSE, LONGEST_PAUSE, CLOSE_WITHIN = 0.5, 30.0, 20.0  # seconds


def jobqueue() -> ModuleType:
    """Imports dask_jobqueue.slurm without its side effect: version 0.9.0 replaces the SIGINT handler by a
    `sys.exit`."""
    if "dask_jobqueue" not in sys.modules and threading.current_thread() is not threading.main_thread():
        raise RuntimeError(
            "Call scnet.dask() once from the main thread first: dask_jobqueue can't be imported from another thread."
        )
    before = signal.getsignal(signal.SIGINT)
    try:
        return importlib.import_module("dask_jobqueue.slurm")
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)


class BrokerJob:
    """Mixin: place it before the Job class. `session_id` is "" until the broker has accepted the job."""

    name: str

    def __init__(
        self,
        scheduler: str,
        name: str,
        *,
        submitter: Submitter,
        size: Size,
        env: Mapping[str, str],
        session_id: str = "",
        **options: Any,
    ) -> None:
        self.submitter, self.size, self.env, self.session_id = submitter, size, env, session_id
        self.refused = self.failed = self.waiting = ""
        self.first_seen = self.last_seen = 0.0
        self._closing = asyncio.Event()
        self._submission: asyncio.Task[None] | None = None
        super().__init__(  # type: ignore[call-arg]
            scheduler=scheduler,
            name=name,
            cores=size.cores,
            memory=f"{size.memory or 2**30}B",
            processes=1,
            python="python",
            **options,
        )

    @property
    def worker_process_memory(self) -> str:
        """Returns Dask's own limit: the job's memory, or the limit from the node's cgroup and cores if the centre chose
        the memory."""
        return f"{self.size.memory}B" if self.size.memory else "auto"

    @property
    def argv(self) -> list[str]:
        command: str = self._command_template  # type: ignore[attr-defined]
        return shlex.split(command)

    @property
    def session(self) -> Json:
        return self.submitter.sessions.get(self.session_id, {})

    def seen(self, connected: bool) -> None:
        """Records whether the scheduler sees the worker now."""
        if connected:
            self.last_seen = time.monotonic()
            self.first_seen = self.first_seen or self.last_seen

    @property
    def worked(self) -> float:
        """Returns the seconds between the first and the last time that the worker was seen."""
        return self.last_seen - self.first_seen

    async def start(self) -> None:
        self.status = Status.running
        if not self.session_id:
            self._submission = asyncio.create_task(self._submit())

    async def _submit(self) -> None:
        """Submits until the broker answers: the same name finds the same session, so a lost answer costs nothing."""
        pause = FIRST_PAUSE
        while not self._closing.is_set():
            try:
                found = await asyncio.to_thread(self.submitter.submit, self.name, self.size, self.argv, self.env)
                self.session_id, self.waiting = found["id"], ""
                return
            except CentreError as error:
                self.failed = _words(error)
                return
            except ScnetError as error:
                if error.code not in PASSING:
                    self.refused = _words(error)
                    return
                self.waiting = str(error)
            except Exception as error:
                self.failed = f"{type(error).__name__}: {error}"
                return
            await _first_of(self._closing, pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def close(self) -> None:
        """Ends the session, in bounded time; a session that could not be stopped stays in `submitter.still_open()`."""
        self._closing.set()
        if self._submission:
            await asyncio.wait({self._submission}, timeout=CLOSE_WITHIN)
        if self.submitter.is_open(self.session_id):
            try:
                await asyncio.wait_for(asyncio.to_thread(self.submitter.stop, self.session_id), CLOSE_WITHIN)
            except (ScnetError, TimeoutError) as error:
                self.submitter.note(
                    f"{self.name} could not be stopped ({error}); it will end when it can't reach the scheduler."
                )
        self.status = Status.closed
        self._event_finished.set()  # type: ignore[attr-defined]


def _words(error: ScnetError) -> str:
    return f"{error} {error.hint}".strip()


async def _first_of(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        pass


_classes: dict[type, type] = {}


def job_class() -> type:
    """Makes the class of BrokerJob over dask-jobqueue's SLURMJob: SLURMJob's words for the worker's command,
    BrokerJob's way to start it."""
    base: type = jobqueue().SLURMJob
    if base not in _classes:
        _classes[base] = type("FederatedJob", (BrokerJob, base), {})
    return _classes[base]
