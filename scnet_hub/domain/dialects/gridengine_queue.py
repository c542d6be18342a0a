"""Interprets qstat's rows of jobs: the state of each job, and the place of waiting jobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from ..jobs import JobState, JobStatus
from . import gridengine_states as states
from .gridengine_qstat import ANY, Job


def status_of(job: Job, at: datetime, place: int) -> JobStatus:
    state = states.state(job.word)
    broken = "E" in job.word and state is JobState.QUEUED
    return JobStatus(
        state=state, seen_at=at, name=job.name, node=job.node, reason=states.reason(job.word),
        place=place if state is JobState.QUEUED else 0, hopeless=broken,
    )  # fmt: skip


def places_of(jobs: Iterable[Job]) -> dict[str, int]:
    """Returns the place of each waiting job among those of its queue, 1 first: qstat lists them by priority."""
    ahead, everywhere, places = Counter[str](), 0, {}
    for job in (job for job in jobs if states.waits(job.word)):
        places[job.id] = 1 + (everywhere if job.queue == ANY else ahead[job.queue] + ahead[ANY])
        ahead[job.queue] += job.tasks
        everywhere += job.tasks
    return places
