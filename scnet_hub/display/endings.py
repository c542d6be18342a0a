"""How a session ended, in words for its owner, and what to do next: one vocabulary for pages, panels and commands.

`happened` makes the sentence from what a centre said of the job; the others read the session document of
docs/reference/rest.md. Pure: asks nobody and reads no clock.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from ..units import format_duration, format_memory
from . import session_states
from .session_states import Look

Facts = Mapping[str, Any]
TAIL = "\nLast lines of its log:\n"  # between the reason of an end and what the job said last
ENDED_WELL = "The program ended by itself."
STOPPED = ("Stopped on request", "Continued in the next session")
DEFAULT = "default"  # how JupyterHub calls the server without a name

# What a scheduler may call it, letters only → ours. Slurm's reasons and states, and the words of jobs.Ending.
_CAUSES: Mapping[str, str] = {
    **dict.fromkeys(("timelimit", "timeout", "deadline"), "walltime"),
    **dict.fromkeys(("outofmemory", "oom"), "memory"),
    **dict.fromkeys(("nodefail", "nodefailure", "nodedown", "bootfail", "bootfailure", "sitefailure"), "node"),
    **dict.fromkeys(("preempted", "preemption"), "preempted"),
}
AGAIN = "Start it again; if that repeats itself, tell the admins of its centre."
_NEXT: tuple[tuple[str, str], ...] = (  # by how the sentence goes on, the first that fits
    (r"its walltime", "Start it again with a longer time. What a notebook's kernel held is gone; files are where you "
    "saved them."),
    (r"more memory than", "Start it again with more memory, or load less data at once."),
    (r"Lost by the centre", "Nothing of yours was wrong. Start it again: another centre is chosen if this one still "
    "fails."),
    (r"(credits ran out|credits are running out)", "Ask the project's PI for more credits, or choose another project."),
    (r"^Stopped: nothing ran in it", "Start it again when you need it."),
    (r"^Cancelled at the centre", "The job was cancelled at the centre itself. Start it again, or ask the admins of "
    "that centre why."),
    (r"knows nothing of this job|no record of this job", AGAIN),
    (r"^The job (failed|was killed)", "Read the last lines of its log. If they don't explain it, ask the admins of "
    "its centre."),
)  # fmt: skip
_EXIT = re.compile(r"(\d{1,3})(?::(\d{1,3}))?", re.ASCII)  # as Slurm writes it: status:signal


def happened(state: str, reason: str, *, walltime: timedelta, memory: int) -> str:
    """The sentence for a job that a centre calls `state` (a value of JobState) and of which it says `reason`.
    `walltime` and `memory` (bytes; 0: the centre's share) are what the job had asked for."""
    why = f" ({reason})" if reason and reason.lower() not in ("none", state) else ""
    if state == "completed":
        return ENDED_WELL
    if state == "cancelled":
        return f"Cancelled at the centre{why}."
    if state == "lost":
        return f"Lost by the centre{why}: not charged."
    kind = _CAUSES.get(re.sub(r"[^a-z]", "", reason.lower()), "")
    if kind == "walltime":
        return f"It reached the end of its walltime of {format_duration(walltime)}{why}."
    if kind == "memory":
        return f"It used more memory than the {format_memory(memory) if memory else 'share'} it had asked for{why}."
    return f"The job failed{why}."


def cause(session: Facts) -> str:
    """The sentence alone, with exit code or signal where the usage record told one: "The job failed with exit code 3.",
    "The job was killed by signal 9."; "" while it lives."""
    words = str(session.get("end_reason") or "").partition("\n")[0]
    code = exit_words(str(session.get("exit_code") or ""))
    if code and words.startswith("The job failed"):
        return f"The job {'was killed' if code.startswith('by') else 'failed'} {code}."
    return words


def exit_words(code: str) -> str:
    """ "3:0" as "with exit code 3", "0:9" as "by signal 9"; "" for none, for what can't be read, and for success."""
    match = _EXIT.fullmatch(code)
    if not match:
        return ""
    status, signal = int(match[1]), int(match[2] or 0)
    return f"by signal {signal}" if signal else f"with exit code {status}" if status else ""


def exit_code(session: Facts) -> int | None:
    """As a shell says it: 128 + N for signal N; None where it is not known."""
    match = _EXIT.fullmatch(str(session.get("exit_code") or ""))
    return None if not match else 128 + int(match[2]) if int(match[2] or 0) else int(match[1])


def log_end(session: Facts) -> str:
    """The last lines of its log, where the broker kept them."""
    return str(session.get("end_reason") or "").partition(TAIL)[2]


def succeeded(session: Facts) -> bool:
    return str(session.get("end_reason") or "").startswith(ENDED_WELL)


def stopped(session: Facts) -> bool:
    """Whether its person ended it, or another session took its place."""
    return str(session.get("end_reason") or "").startswith(STOPPED)


def state_of(session: Facts) -> str:
    """The state to show of a live session: a batch job runs as soon as it starts."""
    state = str(session["state"])
    return session_states.READY if state == session_states.STARTING and session.get("kind") == "batch" else state


def look_of(session: Facts) -> Look:
    """How a session is shown: by its state while it is live, then by its outcome."""
    return session_states.look(state_of(session)) if session["live"] else session_states.OUTCOMES[outcome(session)]


def outcome(session: Facts) -> str:
    """A session's state in a word, and once it has ended done, stopped or failed."""
    if session["live"]:
        return session_states.look(state_of(session)).word
    if succeeded(session):
        return "done"
    return "stopped" if str(session.get("end_reason") or "").startswith(("Stopped", *STOPPED)) else "failed"


def advice(session: Facts) -> str:
    """What its person can do next; "" where there is nothing to do."""
    if session["live"] or succeeded(session) or stopped(session):
        return ""
    words = cause(session)
    return next(
        (hint for pattern, hint in _NEXT if re.search(pattern, words)),
        AGAIN,
    )


def called(session: Facts) -> str:
    """What a person calls it: its name, "default" for the default session."""
    return str(session.get("name") or DEFAULT)
