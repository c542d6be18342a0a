"""Tells the session that its cluster works: a file in SCNET_ACTIVE is touched while tasks wait or run, so that the
session isn't taken for idle when no cell runs (futures, persist). Outside a session there is no such folder and nothing
is told."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def has_work(scheduler: Any) -> bool:
    """Whether a task runs, or could if there were a worker. Results that are merely kept are no work."""
    return bool(scheduler.queued or scheduler.unrunnable or any(one.processing for one in scheduler.workers.values()))


def mark(name: str, env: Mapping[str, str] = os.environ) -> None:
    if folder := env.get("SCNET_ACTIVE"):
        with contextlib.suppress(OSError):  # the folder goes with the session's server
            (Path(folder) / name.replace("/", "_")).touch()
