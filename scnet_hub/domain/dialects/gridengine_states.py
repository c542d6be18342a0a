"""Interprets Grid Engine's letters for the states of jobs and of queue instances.

Sources: sge_status(5) and qstat(1) of 6.2u5 and of Son of Grid Engine 8.1.9, qstat(1) of Univa Grid Engine 8.6 (N and
P, of preempted jobs), and qstat(1) and `job_get_state_string` of the Open Cluster Scheduler 9 (x and f). Letters come
in one order, each at most once, so a set of letters has all their information;
tests/unit/domain/dialects/test_gridengine_states.py lists the states of the manuals. A letter that is in none of them
has no meaning.
"""

from __future__ import annotations

from functools import lru_cache

from ..jobs import JobState

WAITS = frozenset("qw")
UNDER_WAY = frozenset("t")  # transferred to a node
STARTED = frozenset("rsSTNPx")  # running, suspended by any means, preempted with or without its resources, exiting
FINISHED = frozenset("zf")
ADDED = frozenset("dEhR")  # deleted, in error, on hold, restarted: without meaning alone
LETTERS = WAITS | UNDER_WAY | STARTED | FINISHED | ADDED
TELLING = frozenset("sSTNPdx")  # of a started job: what its owner should know

ALARMED = frozenset("aA")  # a threshold of load is exceeded: running jobs continue, no job is sent there
CLOSED = frozenset("udDCsSEcoP")  # unknown, disabled, by calendar, suspended, in error, ambiguous, orphaned, preempted


@lru_cache(256)
def state(word: str) -> JobState:
    """Returns the state of a job that the queue lists; UNKNOWN for a letter that is in no manual, and for letters that
    contradict each other. An ended job is UNKNOWN too: accounting knows how it ended."""
    letters = frozenset(word)
    if not letters <= LETTERS or letters & FINISHED:
        return JobState.UNKNOWN
    if letters & WAITS:
        return JobState.UNKNOWN if letters & frozenset("rtx") else JobState.QUEUED
    if letters & UNDER_WAY and letters <= frozenset("thR"):
        return JobState.QUEUED
    return JobState.RUNNING if letters & (STARTED | UNDER_WAY) else JobState.UNKNOWN


def ended(word: str) -> bool:
    """Returns whether the job is over and only still listed."""
    letters = frozenset(word)
    return bool(letters & FINISHED) and letters <= FINISHED | ADDED


@lru_cache(256)
def waits(word: str) -> bool:
    """Returns whether a job in that state stands in the queue before other jobs: neither held nor broken."""
    return state(word) is JobState.QUEUED and bool(WAITS.intersection(word)) and not {"h", "E"}.intersection(word)


@lru_cache(256)
def reason(word: str) -> str:
    """Returns what the letters add to the state, for the job's owner; "" if nothing."""
    if "E" in word:
        return f"{word}: the job could not be started; qstat -j gives the reason"
    if "h" in word and "w" in word:
        return f"{word}: on hold"
    return word if state(word) is JobState.UNKNOWN or TELLING.intersection(word) else ""


def strange_job(word: str) -> bool:
    return state(word) is JobState.UNKNOWN and not ended(word)


def strange_instance(letters: str) -> bool:
    return not CLOSED.union(ALARMED).issuperset(letters)


def takes_jobs(letters: str) -> bool:
    """Returns whether a queue instance is up, even in alarm. A letter that is in no manual closes it."""
    return ALARMED.issuperset(letters)


def alarmed(letters: str) -> bool:
    return not ALARMED.isdisjoint(letters)
