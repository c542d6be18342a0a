"""Is preloaded by a Dask worker (`--preload scnet_hub.node.dask_worker`).

The worker works in the kernel's folder, if its node has that: modules beside the notebook can be imported, and relative
paths mean the same. When the scheduler restarts the worker, its process starts again in the same job, instead of
leaving the job to end and the next to queue.
"""

from __future__ import annotations

import atexit
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

SHORTEST = 10.0  # seconds of lifetime that are left at least: 0 would mean for ever
_began = time.monotonic()


def dask_setup(worker: Any) -> None:
    enter(os.environ.get("SCNET_FOLDER", ""))
    worker.stream_handlers["start_again"] = lambda: atexit.register(_start_again)


def enter(folder: str) -> None:
    """Makes the kernel's folder the working folder and the first of `sys.path`, as in the kernel."""
    try:
        os.chdir(folder or ".")
    except OSError as error:
        print(
            f"This node does not have the notebook's folder {folder} ({error.strerror}).", file=sys.stderr, flush=True
        )
        return
    if folder:
        sys.path.insert(0, folder)


def _start_again() -> None:
    os.execv(sys.executable, shortened(sys.orig_argv, time.monotonic() - _began))


def shortened(command: Sequence[str], elapsed: float) -> list[str]:
    """Returns the worker's command with its `--lifetime` ("3300s") less the seconds that have gone by: the job's
    walltime does not start again."""
    words = list(command)
    if "--lifetime" in words:
        at = words.index("--lifetime") + 1
        words[at] = f"{max(SHORTEST, float(words[at].removesuffix('s')) - elapsed):.0f}s"
    return words
