"""Reads a row of Grid Engine's accounting file: how a run ended, what it asked for, and why a row can't be read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta

from ..jobs import Ending, JobState, UsageRecord
from . import gridengine_qstat
from .command_checks import number, short
from .gridengine_qstat import size

RAN = frozenset({0, 12, 13, 14, 15, 16})  # accounting's "failed": the job itself ran to its end
SIGNALLED, KILLED = 100, 137
TIME_OVER = 37  # the qmaster enforced the walltime
# output file, shell, directory, limits, the program's own failure
NOT_THE_SITES = frozenset({17, 26, 27, 28, 30, 37, SIGNALLED})
STATES: Mapping[Ending, JobState] = {
    Ending.COMPLETED: JobState.COMPLETED,
    **dict.fromkeys((Ending.FAILED, Ending.TIMEOUT, Ending.OUT_OF_MEMORY), JobState.FAILED),
    Ending.CANCELLED: JobState.CANCELLED,
    Ending.SITE_FAILURE: JobState.LOST,
}


def ending_of(row: Sequence[str], elapsed: timedelta, wants: Mapping[str, str]) -> Ending:
    """Returns how a run ended. qdel kills the whole job, like Grid Engine at a limit, and like a node that goes down:
    all three are failure 100 with status 137. A run that exceeded its walltime or memory by its own figures is
    recognised; the others count as cancelled by an unknown account."""
    failed, code = number(row[11]), number(row[12])
    if failed in RAN:
        return Ending.FAILED if code else Ending.COMPLETED
    if failed not in NOT_THE_SITES:
        return Ending.SITE_FAILURE
    if failed == TIME_OVER or (failed == SIGNALLED and elapsed.total_seconds() >= number(wants.get("h_rt", "")) > 0):
        return Ending.TIMEOUT
    if failed == SIGNALLED and size(row[42]) >= size(wants.get("h_vmem", "")) * number(row[34]) > 0:
        return Ending.OUT_OF_MEMORY
    return Ending.FAILED if failed != SIGNALLED or code != KILLED else Ending.CANCELLED


def broken(row: Sequence[str]) -> UsageRecord:
    return unreadable(row, f"it has {len(row)} of {gridengine_qstat.COLUMNS} fields")


def unreadable(row: Sequence[str], why: str) -> UsageRecord:
    job, name = (row[index] if len(row) > index else "" for index in (gridengine_qstat.JOB_ID, 4))
    trouble = f"accounting's row {short(':'.join(row))!r} can't be read: {why}."
    return UsageRecord(job_id=job, name=name, state=JobState.UNKNOWN, cores=0, trouble=trouble)


def wants_of(category: str) -> dict[str, str]:
    """Returns the resources in accounting's "-q all.q -l gpu=1,h_rt=600 -pe smp 2"."""
    match = re.search(r"(?:^| )-l (\S+)", category)
    return dict(pair.split("=", 1) for pair in match[1].split(",") if "=" in pair) if match else {}
