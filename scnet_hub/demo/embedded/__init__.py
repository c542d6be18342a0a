"""The embedded centre: a small batch system over local processes, for a laptop, the demo and tests.

`EmbeddedCentre` starts and stops its daemon and knows its socket and commands; `centre_toml` writes its page for a
federation. It answers in Slurm's words (`slurm_commands.py`), so it needs no dialect of its own. Resources are booked,
not enforced, and all jobs run as one user: not a product to scale.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ...domain.standard.centre_writer import CentrePage
from ...errors import SpecError, Unreachable
from .client import ask
from .settings import Settings, socket_path, write_settings

__all__ = ["EmbeddedCentre", "Settings", "centre_toml"]
SECRET = ("TOKEN", "SECRET", "PASSWORD", "JUPYTERHUB")
COMMANDS = ("sbatch", "squeue", "scancel", "sinfo", "sacct", "scontrol", "srun")


class EmbeddedCentre:
    """One centre with all its state in `home`. `start` and `stop` block for a moment: use a thread in async code."""

    def __init__(self, home: Path | str, settings: Settings | None = None) -> None:
        self.home, self.settings = Path(home).absolute(), settings or Settings()

    @property
    def socket(self) -> Path:
        return socket_path(self.home)

    @property
    def bin(self) -> Path:
        """Returns the folder of Slurm's commands for this centre: with the folder first on PATH, a stock tool finds
        Slurm."""
        return self.home / "bin"

    def start(self, *, timeout: float = 10) -> None:
        """Starts the daemon, which outlives this process; does nothing if a daemon answers already. Raises
        SpecError."""
        if self.pid():
            return
        self._prepare()
        with open(self.home / "log", "ab") as log:
            daemon = subprocess.Popen(
                [sys.executable, "-m", __name__, "serve", "--home", str(self.home)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", env=_environment(), start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + timeout
        while not self.pid():
            if daemon.poll() not in (None, 3) or time.monotonic() > deadline:  # 3: another daemon was quicker
                raise SpecError(f"the embedded centre in {self.home} did not start: {self._last_words()}")
            time.sleep(0.01)

    def stop(self, *, cancel_jobs: bool = True, timeout: float = 15) -> None:
        """Ends the daemon, after its jobs unless they continue without it (a later start finds them again)."""
        pid = self.pid()
        if not pid:
            return
        if cancel_jobs:
            self.ask("shutdown")
        else:
            os.kill(pid, 15)
        deadline = time.monotonic() + timeout
        while self.pid() == pid and time.monotonic() < deadline:
            time.sleep(0.01)

    def ask(self, *words: str) -> str:
        """Returns the daemon's answer to a command or verb, such as `background fill`. Raises Unreachable."""
        try:
            answer = json.loads(ask(str(self.socket), json.dumps({"argv": words, "stdin": ""}).encode()))
        except (OSError, ValueError) as error:
            raise Unreachable(f"the embedded centre in {self.home} does not answer: {error}") from error
        if answer["code"]:
            raise SpecError(str(answer["stderr"]).strip())
        return str(answer["stdout"])

    def pid(self) -> int:
        """Returns the daemon's pid; 0 if no daemon answers."""
        try:
            return int(self.ask("ping"))
        except Unreachable:
            return 0

    def _prepare(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.home.chmod(0o700)
        write_settings(self.home, self.settings)
        self.bin.mkdir(exist_ok=True)
        client = Path(__file__).with_name("client.py")
        for name in COMMANDS:
            command = shlex.join([sys.executable, "-ISE", str(client), str(self.socket), name])
            (self.bin / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
            (self.bin / name).chmod(0o755)

    def _last_words(self) -> str:
        lines = (self.home / "log").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "its log is empty"


def _environment() -> dict[str, str]:
    """Returns the daemon's environment: this process's environment without secrets, and able to import this package
    from a checkout. An installed package is found anyway, and its neighbours are for this Python only."""
    kept = {key: value for key, value in os.environ.items() if not any(word in key for word in SECRET)}
    root = str(Path(__file__).resolve().parents[3])
    if not Path(root, "pyproject.toml").exists():
        return kept
    paths = [root, *(path for path in kept.get("PYTHONPATH", "").split(os.pathsep) if path and path != root)]
    return {**kept, "PYTHONPATH": os.pathsep.join(paths)}


def centre_toml(centre: EmbeddedCentre, **page: Any) -> str:
    """Returns the `centre.toml` of an embedded centre; `page` is the rest of the arguments of `CentrePage`."""
    settings = centre.settings
    partition = {
        "name": settings.partition, "nodes": settings.nodes, "cores": settings.cores, "memory": settings.memory,
        "gpus": settings.gpus, "gpu_model": settings.gpu_model, "max_walltime": settings.max_walltime,
    }  # fmt: skip
    return CentrePage(
        id=settings.name, transport={"kind": "embedded", "socket": str(centre.socket)}, partition=partition,
        host=settings.address(1), memory_per_core=settings.memory // settings.cores, **page,
    ).text()  # fmt: skip
