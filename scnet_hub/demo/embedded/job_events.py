"""Calls back when something is due for a job, and when its launcher ends."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

from . import processes
from .scheduler import Job

Do = Callable[[Job], None]


class Timers:
    """One timer for each job and purpose: a new one takes the old one's place. `clock` gives seconds since 1970."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.now = clock
        self._set: dict[tuple[int, str], asyncio.TimerHandle] = {}

    def at(self, moment: float, job: Job, what: str, do: Do) -> None:
        self.later(max(0.0, moment - self.now()), job, what, do)

    def later(self, seconds: float, job: Job, what: str, do: Do) -> None:
        if old := self._set.pop((job.id, what), None):
            old.cancel()
        self._set[job.id, what] = asyncio.get_running_loop().call_later(seconds, do, job)

    def forget(self, job: Job) -> None:
        for key in [key for key in self._set if key[0] == job.id]:
            self._set.pop(key).cancel()


class Ends:
    """Watches for the end of launchers, by the kernel's event where there is one."""

    def __init__(self, timers: Timers) -> None:
        self.timers = timers
        self._events: dict[int, int] = {}

    def watch(self, job: Job, ended: Do) -> None:
        """Calls `ended` at the moment the job's launcher ends."""
        try:
            event = os.pidfd_open(job.pid)
        except ProcessLookupError:
            return self.timers.later(0.0, job, "watch", ended)
        except (AttributeError, OSError):  # macOS, or a kernel before 5.3: look often
            return self.timers.later(0.1, job, "watch", lambda one: self._look(one, ended))
        self._events[job.id] = event
        asyncio.get_running_loop().add_reader(event, ended, job)

    def _look(self, job: Job, ended: Do) -> None:
        if processes.alive(job.pid, job.born):
            self.timers.later(0.1, job, "watch", lambda one: self._look(one, ended))
        else:
            ended(job)

    def forget(self, job: Job) -> None:
        if (event := self._events.pop(job.id, None)) is not None:
            asyncio.get_running_loop().remove_reader(event)
            os.close(event)


def verdict(job: Job) -> tuple[str, str]:
    """Returns the state and reason of a job whose exit is known."""
    if job.ending:
        return job.ending, "TimeLimit" if job.ending == "TIMEOUT" else ""
    if job.signal:
        return "FAILED", f"RaisedSignal:{job.signal}({signal.strsignal(job.signal)})"
    return ("FAILED", "NonZeroExitCode") if job.code else ("COMPLETED", "")
