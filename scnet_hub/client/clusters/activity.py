"""Reports that a session's cluster works: touches a file in SCNET_ACTIVE while tasks wait or run, so that the session
is not considered idle when no cell runs (futures, persist). Outside a session there is no such folder and nothing is
reported."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def has_work(scheduler: Any) -> bool:
    """Returns whether a task runs, or could run with a worker. Results that are only kept are not work."""
    return bool(scheduler.queued or scheduler.unrunnable or any(one.processing for one in scheduler.workers.values()))


def mark(name: str, env: Mapping[str, str] = os.environ) -> None:
    if folder := env.get("SCNET_ACTIVE"):
        with contextlib.suppress(OSError):  # the folder disappears with the session's server
            (Path(folder) / name.replace("/", "_")).touch()
