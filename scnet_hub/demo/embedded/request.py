"""What the commands of an embedded centre share: a command as it arrived, its answer, their questions to the daemon,
and filters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from .client import VERSION
from .command_options import Complaint
from .formatting import STANDARD, Moment, Owner, host_names, shown_state
from .manuals import MANUALS
from .sbatch_options import Submission
from .scheduler import Job, Node, Step
from .settings import Settings

STATES = (
    "PENDING,RUNNING,SUSPENDED,COMPLETED,CANCELLED,FAILED,TIMEOUT,NODE_FAIL,PREEMPTED,BOOT_FAIL,DEADLINE,OUT_OF_MEMORY,COMPLETING,"
    "CONFIGURING,RESIZING,RESV_DEL_HOLD,REQUEUED,REQUEUE_FED,REQUEUE_HOLD,REVOKED,SIGNALING,SPECIAL_EXIT,STAGE_OUT,STOPPED"
)
STATE_LETTERS = {
    "PD": "PENDING",
    "R": "RUNNING",
    "CG": "COMPLETING",
    "CD": "COMPLETED",
    "CA": "CANCELLED",
    "F": "FAILED",
    "TO": "TIMEOUT",
}


@dataclass(frozen=True, slots=True)
class Question:
    """A command as it arrived. `stdin` None: not sent yet; ask for it when it is needed."""

    argv: tuple[str, ...]
    stdin: str | None
    directory: str
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """The command's output and exit code; code None asks for the standard input first. `run` is what srun must
    start."""

    code: int | None
    stdout: str = ""
    stderr: str = ""
    run: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A question with its options by long name and its other words."""

    question: Question
    given: Mapping[str, str]
    rest: Sequence[str]


class Controller(Protocol):
    """What the commands ask of the daemon."""

    settings: Settings
    nodes: list[Node]
    owner: Owner

    def now(self) -> float: ...
    def running(self) -> Sequence[Job]: ...
    def queue(self, *, ended: bool) -> Sequence[Job]:
        """Returns live jobs in the order of arrival; with `ended` also recently ended jobs."""

    def jobs(self, ids: Sequence[int]) -> Sequence[Job]:
        """Returns those of these jobs that exist or existed."""

    def since(self, at: float) -> Sequence[Job]:
        """Returns live jobs, and jobs that ended after `at`."""

    def submit(self, asked: Submission) -> int: ...
    def cancel(self, job: Job) -> None: ...
    def begin_step(self, job: Job, step: Step) -> Step:
        """Returns the step with its id, after recording it with the running job."""


def about(program: str, given: Mapping[str, str]) -> str:
    """Returns the output of `--version`, `--help` or `--usage`; "" without any of them."""
    manual = MANUALS[program]
    texts = {"version": f"{VERSION}\n", "help": manual.help, "usage": manual.usage}
    return next((text for option, text in texts.items() if option in given), "")


def filtered(jobs: Sequence[Job], given: Mapping[str, str], centre: Controller) -> list[Job]:
    """Returns the jobs that pass the filtering options. Raises Complaint for an unknown node or state."""
    wanted = {
        key: set(given[key].split(",")) for key in ("account", "name", "partition", "qos", "user") if key in given
    }
    if "me" in given:
        wanted["user"] = {centre.owner.user}
    states = job_states(given["state"]) if "state" in given else None
    nodes = known_nodes(given["nodelist"], centre) if "nodelist" in given else None
    facts: Mapping[str, Callable[[Job], str]] = {
        "account": lambda job: job.account, "name": lambda job: job.name, "partition": lambda job: job.partition,
        "qos": lambda job: "normal", "user": lambda job: job.user,
    }  # fmt: skip
    return [
        job
        for job in jobs
        if all(facts[key](job) in names for key, names in wanted.items())
        and (states is None or shown_state(job) in states)
        and (nodes is None or nodes & {spot.node for spot in job.spots})
    ]


def known_nodes(text: str, centre: Controller) -> set[str]:
    names, known = host_names(text), {node.name for node in centre.nodes}
    for name in names:
        if name not in known:
            raise Complaint(f"Invalid node name {name}")
    return set(names)


def job_number(word: str, complaint: str) -> int:
    if not re.fullmatch(r"\d{1,10}", word, re.ASCII):
        raise Complaint(complaint.format(word))
    return int(word)


def moment(question: Question, centre: Controller) -> Moment:
    environment = question.environment
    form = environment.get("SLURM_TIME_FORMAT", "")
    return Moment(
        centre.now(), centre.owner, form if form not in ("", "standard") else STANDARD, environment.get("TZ") == "UTC"
    )


def job_states(text: str) -> set[str] | None:
    """Returns the named states; None for all."""
    if text.lower() == "all":
        return None
    names = {STATE_LETTERS.get(word.upper(), word.upper()) for word in text.split(",")}
    unknown = names - set(STATES.split(","))
    if unknown:
        raise Complaint(f"Invalid job state specified: {text}", f"Valid job states include: {STATES}\n")
    return names
