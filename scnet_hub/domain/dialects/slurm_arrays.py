"""Counts how many tasks of a waiting array a row of squeue stands for, and how many of them may start.

Slurm keeps the waiting tasks of an array as one job and prints their numbers as an expression: "0-199", "0-198:2",
"1,5,7-9", with "%2" if only so many may run at once (sbatch(1), --array), and "..." if the list is longer than
SLURM_BITSTR_LEN bytes (squeue(1); `xlate_array_task_str` in src/common/slurm_protocol_defs.c). `squeue --array` would
print each task, without a bound.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

WIDTH = 4096  # bytes of an expression: the most that Slurm prints
MOST = 4_000_001  # MaxArraySize is below it (slurm.conf(5))
_PIECE = re.compile(r"(\d{1,7})(?:-(\d{1,7})(?::(\d{1,7}))?)?", re.ASCII)


class Tasks(NamedTuple):
    """`waiting` tasks wait, of which `at_once` may run at the same time (None: all). `cut`: the list was longer, so
    there are more tasks."""

    waiting: int = 1
    at_once: int | None = None
    cut: bool = False


@lru_cache(4096)
def tasks_of(expression: str) -> Tasks:
    """Returns the tasks in such an expression; one task for other text ("N/A", a single number) and for text that can't
    be read."""
    listed, percent, limit = expression.strip("[]").partition("%")
    pieces = listed.split(",")
    cut = listed.endswith("...")
    if cut:  # the text before the dots may be the beginning of a number
        pieces.pop()
    count = sum(_count(piece) for piece in pieces)
    at_once = int(limit) if percent and re.fullmatch(r"\d{1,7}", limit, re.ASCII) and int(limit) else None
    return Tasks(min(max(count, 1), MOST), at_once, cut)


def _count(piece: str) -> int:
    match = _PIECE.fullmatch(piece)
    if not match:
        return 0
    first, last, step = (int(number) if number else None for number in match.groups())
    assert first is not None
    return 1 if last is None or last < first else (last - first) // (step or 1) + 1


def may_start(tasks: Tasks, running: int) -> int:
    """Returns how many of the waiting tasks may start as soon as there is room, while so many of their array run."""
    return tasks.waiting if tasks.at_once is None else min(tasks.waiting, max(tasks.at_once - running, 0))
