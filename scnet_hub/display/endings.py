"""Describes how a session ended, in words for its owner, and what to do next: one vocabulary for pages, panels and
commands.

`happened` makes the sentence from the centre's report about the job; the other functions read the session document of
docs/reference/rest.md. Pure: reads no clock and makes no calls.
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
TAIL = "\nLast lines of its log:\n"  # between the reason of an end and the last lines of the job's output
ENDED_WELL = "The program ended by itself."
STOPPED = ("Stopped on request", "Continued in the next session")
DEFAULT = "default"  # JupyterHub's name for the server without a name

# The words of schedulers, letters only → ours. Slurm's reasons and states, and the words of jobs.Ending.
_CAUSES: Mapping[str, str] = {
    **dict.fromkeys(("timelimit", "timeout", "deadline"), "walltime"),
    **dict.fromkeys(("outofmemory", "oom"), "memory"),
    **dict.fromkeys(("nodefail", "nodefailure", "nodedown", "bootfail", "bootfailure", "sitefailure"), "node"),
    **dict.fromkeys(("preempted", "preemption"), "preempted"),
}
AGAIN = "Start it again; if this happens again, tell the operators of its centre."
_NEXT: tuple[tuple[str, str], ...] = (  # by the words of the sentence; the first match counts
    (r"its walltime", "Start it again with a longer time. Data in a notebook's kernel is lost; files are where you "
    "saved them."),
    (r"more memory than", "Start it again with more memory, or process less data at once."),
    (r"Lost by the centre", "The fault was not yours. Start it again: another centre is chosen if this one still "
    "fails."),
    (r"(credits ran out|credits are running out)", "Ask the project's PI for more credits, or choose another project."),
    (r"^Stopped: nothing ran in it", "Start it again when you need it."),
    (r"^Cancelled at the centre", "The job was cancelled at the centre itself. Start it again, or ask the operators of "
    "that centre why."),
    (r"knows nothing of this job|no record of this job", AGAIN),
    (r"^The job (failed|was killed)", "Read the last lines of its log. If they don't explain it, ask the operators of "
    "its centre."),
)  # fmt: skip
_EXIT = re.compile(r"(\d{1,3})(?::(\d{1,3}))?", re.ASCII)  # in Slurm's notation: status:signal


def happened(state: str, reason: str, *, walltime: timedelta, memory: int) -> str:
    """Returns the sentence for a job whose state at the centre is `state` (a value of JobState), with the centre's
    `reason`. `walltime` and `memory` (bytes; 0: the centre's share) are what the job asked for."""
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
    """Returns the sentence alone, with the exit code or signal if the usage record has it: "The job failed with exit
    code 3.", "The job was killed by signal 9."; "" while the session is live."""
    words = str(session.get("end_reason") or "").partition("\n")[0]
    code = exit_words(str(session.get("exit_code") or ""))
    if code and words.startswith("The job failed"):
        return f"The job {'was killed' if code.startswith('by') else 'failed'} {code}."
    return words


def exit_words(code: str) -> str:
    """Returns "3:0" as "with exit code 3", "0:9" as "by signal 9"; "" for no code, for a code that can't be read, and
    for success."""
    match = _EXIT.fullmatch(code)
    if not match:
        return ""
    status, signal = int(match[1]), int(match[2] or 0)
    return f"by signal {signal}" if signal else f"with exit code {status}" if status else ""


def exit_code(session: Facts) -> int | None:
    """Returns the exit code as a shell reports it: 128 + N for signal N; None if it is not known."""
    match = _EXIT.fullmatch(str(session.get("exit_code") or ""))
    return None if not match else 128 + int(match[2]) if int(match[2] or 0) else int(match[1])


def log_end(session: Facts) -> str:
    """Returns the last lines of the session's log, if the broker kept them."""
    return str(session.get("end_reason") or "").partition(TAIL)[2]


def succeeded(session: Facts) -> bool:
    return str(session.get("end_reason") or "").startswith(ENDED_WELL)


def stopped(session: Facts) -> bool:
    """Returns whether the session's owner ended it, or another session took its place."""
    return str(session.get("end_reason") or "").startswith(STOPPED)


def state_of(session: Facts) -> str:
    """Returns the state to show for a live session: a batch job counts as running as soon as it starts."""
    state = str(session["state"])
    return session_states.READY if state == session_states.STARTING and session.get("kind") == "batch" else state


def look_of(session: Facts) -> Look:
    """Returns how to show a session: by its state while it is live, then by its outcome."""
    return session_states.look(state_of(session)) if session["live"] else session_states.OUTCOMES[outcome(session)]


def outcome(session: Facts) -> str:
    """Returns a live session's state in a word; for an ended session done, stopped or failed."""
    if session["live"]:
        return session_states.look(state_of(session)).word
    if succeeded(session):
        return "done"
    return "stopped" if str(session.get("end_reason") or "").startswith(("Stopped", *STOPPED)) else "failed"


def advice(session: Facts) -> str:
    """Returns what the session's owner can do next; "" if there is nothing to do."""
    if session["live"] or succeeded(session) or stopped(session):
        return ""
    words = cause(session)
    return next(
        (hint for pattern, hint in _NEXT if re.search(pattern, words)),
        AGAIN,
    )


def called(session: Facts) -> str:
    """Returns the session's name for people: its name, or "default" for the default session."""
    return str(session.get("name") or DEFAULT)
