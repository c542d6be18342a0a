"""Says why a usage record can't be charged as it came: it waits in suspense for its centre or an operator, and is never
discarded.

The facts of the copy whose name the job bears are arguments; this module does not decide what becomes of a record.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from ...units import format_duration
from .runs import NO_TIME, Usage

SKEW = timedelta(minutes=5)  # how far a centre's clock may be from the hub's
MOST = 10**9  # cores or GPUs of one job: more than any centre has
MOST_MEMORY = 2**60  # bytes
LONGEST = timedelta(days=3660)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmittedJob:
    """The job of the copy that a record's job name refers to, as the hub submitted it: its centre, when it was
    requested, its job id if known, and how many GPUs it requested."""

    session: str
    number: int
    centre: str
    asked_at: datetime
    job_id: str = ""
    gpus: int = 0


def check(
    usage: Usage, now: datetime, *, copy: SubmittedJob | None, since: datetime, others: Iterable[Usage] = ()
) -> str:
    """Says why this record can't be charged; "" if it can. `copy` is the owner of the job by its name (None: none),
    `since` the federation's first day, `others` the other records that count for that copy."""
    return next(iter(_reasons(usage, now, copy, since, others)), "")


def _reasons(
    usage: Usage, now: datetime, copy: SubmittedJob | None, since: datetime, others: Iterable[Usage]
) -> Iterator[str]:
    """Yields the gravest first: where amounts are not numbers, times are not compared."""
    wrong = _amounts(usage) or _times(usage, now, since)
    if wrong:
        yield f"Job {usage.job_id[:40]} of {usage.centre}: {wrong}."
    elif mistaken := stranger(usage, copy):
        yield mistaken
    elif untold := _untold(usage, copy):
        yield untold
    elif double := next((other for other in others if overlap(usage, other)), None):
        yield (
            f"Job {usage.job_id} of {usage.centre} and job {double.job_id} of {double.centre} (run "
            f"{double.restart + 1}) both bear the name"
            f" {usage.name[:60]} and ran at the same time: a copy runs once."
        )


def _amounts(usage: Usage) -> str:
    counts = {"cores": usage.cores, "memory": usage.memory, "restart": usage.restart, "revision": usage.revision}
    counts.update({f"GPUs{f' {model}' if model else ''}": count for model, count in usage.gpus})
    for what, count in counts.items():
        if type(count) is not int:
            return f"its {what} is {count!r}, no whole number"
        if count < 0:
            return f"its {what} is {count}, less than nothing"
        if count > (MOST_MEMORY if what == "memory" else MOST):
            return f"its {what} is {count}, more than any centre has"
    if len({model for model, _ in usage.gpus}) < len(usage.gpus):
        return "it names a GPU model twice"
    if usage.elapsed < NO_TIME or usage.cpu < NO_TIME:
        return f"it took {min(usage.elapsed, usage.cpu).total_seconds():g} s, less than no time"
    if usage.elapsed > LONGEST:
        return f"it took {format_duration(usage.elapsed)}, longer than any centre lets a job run"
    return ""


def _times(usage: Usage, now: datetime, since: datetime) -> str:
    told = {"submission": usage.submitted_at, "start": usage.start, "end": usage.end}
    for what, instant in told.items():
        if instant is not None and instant.tzinfo is None:
            return f"its {what} has no time zone"
        if instant is not None and instant > now + SKEW:
            return (
                f"its {what} lies {format_duration(instant - now)} ahead of the hub's clock, and "
                f"{format_duration(SKEW)} are allowed"
            )
        if instant is not None and instant < since:
            return f"its {what}, {instant:%Y-%m-%d}, was before the federation began ({since:%Y-%m-%d})"
    start, end = usage.start, usage.end
    if start is None:
        return "it has used something but never started" if usage.elapsed or usage.cores or usage.gpus else ""
    if usage.final and usage.submitted_at is None:
        return "it ran, but its accounting doesn't say when it was submitted"
    if usage.submitted_at is not None and start < usage.submitted_at - SKEW:
        return "it started before it was submitted"
    if usage.final and end is None:
        return "it has ended, but its accounting doesn't say when"
    if end is not None and not usage.final:
        return "it has an end, but no state in which a job ends"
    if end is not None and end < start:
        return f"it ended {format_duration(start - end)} before it started"
    latest = end if end is not None else now + SKEW
    if start + usage.elapsed > latest:
        return (
            f"it took {format_duration(usage.elapsed)}, but only {format_duration(latest - start)} lie between its "
            "start and its end"
        )
    return ""


def _untold(usage: Usage, copy: SubmittedJob | None) -> str:
    """Finds fewer GPUs than were requested: no scheduler gives fewer, so that accounting does not count them."""
    told = sum(count for _, count in usage.gpus)
    if copy is None or usage.start is None or not usage.cores or told >= copy.gpus:
        return ""
    return (
        f"Job {usage.job_id} of {usage.centre} asked for {copy.gpus} GPUs, and its accounting tells of {told}: "
        "it does not track them all"
        " (at Slurm, gres/gpu is missing in AccountingStorageTRES). Believed, it is charged as it is told."
    )


def stranger(usage: Usage, copy: SubmittedJob | None) -> str:
    """Says why the record does not belong to that copy although it bears its name; "" if it does. A session's name is
    given once, and is not known before: times are no argument, since the hub's own clock may have been ahead."""
    job, name = f"Job {usage.job_id} of {usage.centre}", usage.name[:60]
    if copy is None:
        return f"{job} is called {name!r}: no session of that name is known."
    if copy.centre != usage.centre:
        return f"{job} bears the name {name}, but that session was sent to {copy.centre}: its name is forged."
    if copy.job_id and copy.job_id != usage.job_id:
        return (
            f"{job} bears the name {name}, but that session is job {copy.job_id} there: its name is forged, or it "
            "was copied."
        )
    if (usage.session, usage.copy) != (copy.session, copy.number):
        return (
            f"{job} says that it is of session {usage.session[:40] or 'none'}, but its name {name} is of "
            f"{copy.session}."
        )
    return ""


def early(usage: Usage, copy: SubmittedJob | None) -> str:
    """Says why the record does not count for that copy if another record is in time; "" if it is in time itself, or if
    its submission has no time zone."""
    at = usage.submitted_at
    if copy is None or at is None or at.tzinfo is None or at >= copy.asked_at - SKEW:
        return ""
    return (
        f"Job {usage.job_id} of {usage.centre} was submitted before session {copy.session} was asked for, and "
        "another record of that"
        " session was not: it is of another life of the cluster, or of a clock that was wrong."
    )


def overlap(one: Usage, other: Usage) -> bool:
    """Tells whether two records, of different runs, overlap in time."""
    if one.identity == other.identity or one.start is None or other.start is None:
        return False
    mine, theirs = one.through, other.through
    return mine is not None and theirs is not None and max(one.start, other.start) < min(mine, theirs)
