"""What the faces of an embedded centre share: a command as it arrived, what it prints, what they ask of the daemon, options and filters."""

from __future__ import annotations

import getopt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from .listing import STANDARD, Moment, shown_state
from .queue import Job, Node
from .settings import Settings
from .submission import Complaint, Submission, unknown_option

VERSION = "slurm-wlm 22.05.8"
STATES = (
    "PENDING,RUNNING,SUSPENDED,COMPLETED,CANCELLED,FAILED,TIMEOUT,NODE_FAIL,PREEMPTED,BOOT_FAIL,DEADLINE,OUT_OF_MEMORY,COMPLETING,"
    "CONFIGURING,RESIZING,RESV_DEL_HOLD,REQUEUED,REQUEUE_FED,REQUEUE_HOLD,REVOKED,SIGNALING,SPECIAL_EXIT,STAGE_OUT,STOPPED"
)
STATE_LETTERS = {"PD": "PENDING", "R": "RUNNING", "CG": "COMPLETING", "CD": "COMPLETED", "CA": "CANCELLED", "F": "FAILED", "TO": "TIMEOUT"}


@dataclass(frozen=True, slots=True)
class Question:
    """A command as it arrived. `stdin` None: not sent yet, ask for it where it is needed."""

    argv: tuple[str, ...]
    stdin: str | None
    directory: str
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the command prints, and its exit code; code None asks for the standard input first."""

    code: int | None
    stdout: str = ""
    stderr: str = ""


class Controller(Protocol):
    """What the faces ask of the daemon."""

    settings: Settings
    nodes: list[Node]
    user: str

    def now(self) -> float: ...
    def running(self) -> Sequence[Job]: ...
    def queue(self, *, ended: bool) -> Sequence[Job]:
        """Live jobs in the order of arrival; with `ended` also those that ended lately."""

    def jobs(self, ids: Sequence[int]) -> Sequence[Job]:
        """Those of them that ever were."""

    def since(self, at: float) -> Sequence[Job]:
        """Live jobs, and those that ended after `at`."""

    def submit(self, asked: Submission) -> int: ...
    def cancel(self, job: Job) -> None: ...


def options(question: Question, short: Mapping[str, str], long: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Options by long name, and the other words. `long` as getopt wants it, `short` from letters to long names."""
    letters = "".join(letter + ":" * (f"{name}=" in long) for letter, name in short.items())
    try:
        found, rest = getopt.gnu_getopt(list(question.argv[1:]), letters, list(long))
    except getopt.GetoptError as error:
        raise unknown_option(question.argv[0], error) from None
    return {name[2:] if name.startswith("--") else short[name[1]]: value for name, value in found}, rest


def filtered(jobs: Sequence[Job], given: Mapping[str, str], centre: Controller) -> list[Job]:
    users = {centre.user} if "me" in given else set(given["user"].split(",")) if "user" in given else None
    names = set(given["name"].split(",")) if "name" in given else None
    partitions = set(given["partition"].split(",")) if "partition" in given else None
    states = job_states(given["state"]) if "state" in given else None
    return [
        job
        for job in jobs
        if (users is None or job.user in users)
        and (names is None or job.name in names)
        and (partitions is None or job.partition in partitions)
        and (states is None or shown_state(job) in states)
    ]


def job_number(word: str, complaint: str) -> int:
    if not re.fullmatch(r"\d{1,10}", word, re.ASCII):
        raise Complaint(complaint.format(word))
    return int(word)


def moment(question: Question, centre: Controller) -> Moment:
    environment = question.environment
    form = environment.get("SLURM_TIME_FORMAT", "")
    return Moment(centre.now(), form if form not in ("", "standard") else STANDARD, environment.get("TZ") == "UTC")


def job_states(text: str) -> set[str] | None:
    """The named states; None for all."""
    if text.lower() == "all":
        return None
    names = {STATE_LETTERS.get(word.upper(), word.upper()) for word in text.split(",")}
    unknown = names - set(STATES.split(","))
    if unknown:
        raise Complaint(f"Invalid job state specified: {text}", f"Valid job states include: {STATES}\n")
    return names
