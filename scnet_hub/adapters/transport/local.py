"""`LocalTransport`: a centre whose scheduler's commands run on this machine, each as a process of its own.

Knows processes and files, no schedulers. Commands get a small environment, not this process's environment: sbatch
passes its environment on to the job, and a broker's environment may hold secrets.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping

from ...domain.commands import Command, Completed
from ...errors import Silent, Unreachable
from .local_files import LocalFiles

PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TMPDIR", "PYTHONPATH")


class LocalTransport(LocalFiles):
    """Runs commands on this machine. `environment` is set for every command; `path` is a folder put before PATH ("":
    none); `hub` as for `LocalFiles`."""

    def __init__(self, environment: Mapping[str, str] | None = None, path: str = "", *, hub: str = "") -> None:
        super().__init__(hub)
        self.environment, self.path = dict(environment or {}), path

    async def run(self, command: Command, *, account: str = "", timeout: float = 30) -> Completed:
        creating = asyncio.ensure_future(
            asyncio.create_subprocess_exec(
                *command.argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=surroundings(self.environment, self.path),
                start_new_session=True,
            )
        )
        try:
            # when cancelled here, asyncio kills only the first process and waits until its children close the pipes
            process = await asyncio.shield(creating)
        except asyncio.CancelledError:
            with contextlib.suppress(OSError, ValueError):
                await _end(await creating)
            raise
        except (OSError, ValueError) as error:
            raise Unreachable(f"{command.argv[0]} could not be started: {error}.") from error
        try:
            stdout, stderr = await asyncio.wait_for(process.communicate(command.stdin), timeout)
        except BaseException as error:
            await _end(process)
            if isinstance(error, TimeoutError):
                raise Silent(f"{_name(command)} did not answer within {timeout:g} s.") from None
            raise
        assert process.returncode is not None
        return Completed(command, process.returncode, stdout.decode(errors="replace"), stderr.decode(errors="replace"))


def surroundings(environment: Mapping[str, str], path: str) -> dict[str, str]:
    """Returns the environment of a command: the variables that any program needs, and those of the centre's spec."""
    kept = {key: os.environ[key] for key in PASSED_ON if key in os.environ}
    kept.update(environment)
    if path:
        kept["PATH"] = f"{path}{os.pathsep}{kept.get('PATH', os.defpath)}"
    return kept


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kills the process and all its children: a hung client must not continue beside its successor. The group is killed
    even if its first process has ended: a child then holds the output open."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(process.wait()), 5)


def _name(command: Command) -> str:
    """Returns the program's name in `env A=b program ...`, for a sentence."""
    return next((word for word in command.argv if word != "env" and "=" not in word), command.argv[0])
