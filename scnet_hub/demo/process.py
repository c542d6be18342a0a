"""One process of the demo: started in a session of its own, logged to a file, started again when it dies, ended
reliably.

Its pid and start time are in a file, so that a later demo can end the processes that an earlier, killed demo left
behind; a pid that belongs to another program by now is left alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import httpx
import psutil

from ..errors import ScnetError

PAUSES = (0.2, 1.0, 3.0, 10.0)  # before each further start of a process that keeps dying
CALM = 60.0  # seconds after which a death counts as the first again


class Process:
    """`ready()` waits until `probe` answers True. `run()` keeps the process alive until `stop()`."""

    def __init__(
        self, name: str, argv: Sequence[str], *, home: Path, env: dict[str, str], probe: Callable[[], Awaitable[bool]]
    ) -> None:
        self.name, self.argv, self.home, self.env, self.probe = name, list(argv), home, env, probe
        self.log = home / "logs" / f"{name}.log"
        self.pid_file = home / "run" / f"{name}.json"
        self.child: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await end_left_over(self.pid_file)
        await self._spawn()
        self._watch = asyncio.create_task(self._keep_alive())

    async def _spawn(self) -> None:
        for path in (self.log, self.pid_file):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self.log.open("ab") as log:
            self.child = await asyncio.create_subprocess_exec(
                *self.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.env,
                cwd=self.home,
                start_new_session=True,
            )
        self.pid_file.write_text(
            json.dumps({"pid": self.child.pid, "born": psutil.Process(self.child.pid).create_time()})
        )

    async def _keep_alive(self) -> None:
        deaths = 0
        while not self._stopping.is_set():
            assert self.child is not None
            born = time.monotonic()
            await self.child.wait()
            if self._stopping.is_set():
                return
            deaths = 0 if time.monotonic() - born > CALM else deaths + 1
            await asyncio.sleep(PAUSES[min(deaths, len(PAUSES)) - 1 if deaths else 0])
            await self._spawn()

    async def ready(self, seconds: float = 60) -> None:
        """Waits until the process answers. Raises ScnetError with the end of the log if it does not answer in time."""
        await until(self.probe, self.name, seconds, lambda: f"The end of {self.log}:\n{tail(self.log)}")

    async def started_after(self, pid: int, seconds: float = 30) -> None:
        """Waits until another process than `pid` runs. Raises ScnetError if none does in time."""

        async def another() -> bool:
            return self.child is not None and self.child.pid != pid

        await until(another, self.name, seconds)

    async def stop(self, seconds: float = 8) -> None:
        self._stopping.set()
        if self.child is not None and self.child.returncode is None:
            end_group(self.child.pid, signal.SIGTERM)
            try:
                await asyncio.wait_for(self.child.wait(), seconds)
            except TimeoutError:
                end_group(self.child.pid, signal.SIGKILL)
                await self.child.wait()
        if self._watch is not None:
            self._watch.cancel()
        self.pid_file.unlink(missing_ok=True)


async def until(
    probe: Callable[[], Awaitable[bool]], what: str, seconds: float = 60, hint: Callable[[], str] = str
) -> None:
    """Waits until `probe` answers True. Raises ScnetError naming `what` after that many seconds."""
    deadline = time.monotonic() + seconds
    while not await probe():
        if time.monotonic() > deadline:
            raise ScnetError(f"{what} did not come up in {seconds:.0f} s.", hint=hint(), code="not-up")
        await asyncio.sleep(0.05)


def end_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)


async def end_left_over(pid_file: Path) -> None:
    """Ends the process that `pid_file` names, if that process still exists."""
    try:
        known = json.loads(pid_file.read_text())
        process = psutil.Process(known["pid"])
        if abs(process.create_time() - known["born"]) > 1:
            return
    except (OSError, ValueError, KeyError, psutil.NoSuchProcess):
        return
    end_group(process.pid, signal.SIGTERM)
    await asyncio.to_thread(psutil.wait_procs, [process], 5)
    end_group(process.pid, signal.SIGKILL)


def tail(path: Path, lines: int = 15) -> str:
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"


def answers(url: str, *, below: int = 500, host: str = "") -> Callable[[], Awaitable[bool]]:
    """Returns a probe: whether `url` answers with a status under `below`. `host` is the host name to ask for, if not
    that of `url`."""
    headers = {"Host": host} if host else {}

    async def probe() -> bool:
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=2) as http:
                return (await http.get(url, headers=headers)).status_code < below
        except httpx.HTTPError:
            return False

    return probe
