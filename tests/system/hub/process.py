"""A hub's process, forked from a process that has already imported JupyterHub, because the imports take longer than its
start."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
from pathlib import Path

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    [
        "jupyterhub.app",
        "scnet_hub.hub",
        "batchspawner",
        "oauthenticator.generic",
        "oauthenticator.azuread",
        "tests.system.hub.labs",
        "pytest",
    ]
)


class HubProcess:
    """`python -m jupyterhub -f page` in `home`, without this process's own JUPYTERHUB_* and SCNET_*; it writes to the
    end of `log`."""

    def __init__(self, page: Path, home: Path, log: Path) -> None:
        env = {key: value for key, value in os.environ.items() if not key.startswith(("JUPYTERHUB_", "SCNET_"))}
        self._process = _FORKS.Process(target=_run, args=(str(page), str(home), str(log), env), daemon=True)
        self._process.start()

    def runs(self) -> bool:
        return self._process.is_alive()

    def terminate(self) -> None:
        self._process.terminate()
        self._process.join(30)

    def kill(self) -> None:
        self._process.kill()
        self._process.join(30)


def _run(page: str, home: str, log: str, env: dict[str, str]) -> None:
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.chdir(home)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = ["jupyterhub", "-f", page]
    runpy.run_module("jupyterhub", run_name="__main__")
