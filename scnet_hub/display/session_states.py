"""The states of a session, each with its word, icon, tone and progress, and whether the session is live in it.

This is the one table of them, for the lifecycle, the broker's documents, pages, panels and commands. How a session
moves from state to state is decided by `domain/sessions/lifecycle.py`. Reads the session document of
docs/reference/rest.md and asks nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Facts = Mapping[str, Any]
INTENT, SUBMITTED, QUEUED, STARTING = "intent", "submitted", "queued", "starting"
READY, STOPPING, ENDED, CHARGED = "ready", "stopping", "ended", "charged"
GOOD, WAIT, WARN, BAD, IDLE = "good", "wait", "warn", "bad", "idle"  # tones


@dataclass(frozen=True, slots=True)
class Look:
    """How a state is shown: icon and word say the same as the tone does by its colour."""

    tone: str
    icon: str
    word: str


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """One state. `progress` is a percentage of the start. `on_node`: its job has a node; `starts`: it leads to READY
    without a further word of the person."""

    name: str
    look: Look
    progress: int
    live: bool = True
    starts: bool = False
    on_node: bool = False


TABLE = (
    State(name=INTENT, look=Look(WAIT, "○", "preparing"), progress=10, starts=True),
    State(name=SUBMITTED, look=Look(WAIT, "○", "submitted"), progress=20, starts=True),
    State(name=QUEUED, look=Look(WAIT, "○", "queued"), progress=30, starts=True),
    State(name=STARTING, look=Look(WAIT, "◐", "starting"), progress=60, starts=True, on_node=True),
    State(name=READY, look=Look(GOOD, "●", "running"), progress=95, on_node=True),
    State(name=STOPPING, look=Look(WAIT, "◑", "stopping"), progress=90),
    State(name=ENDED, look=Look(IDLE, "◌", "ended"), progress=100, live=False),
    State(name=CHARGED, look=Look(IDLE, "◌", "charged"), progress=100, live=False),
)  # in the order of a session's life
STATES = {state.name: state for state in TABLE}
LIVE = tuple(state.name for state in TABLE if state.live)
UNTIL_READY = tuple(state.name for state in TABLE if state.starts)
WITHOUT_NODE = tuple(state.name for state in TABLE if state.starts and not state.on_node)
ON_NODE = tuple(state.name for state in TABLE if state.on_node)
MOVING = tuple(
    state.name for state in TABLE if state.live and state.look.tone == WAIT
)  # another state follows by itself

# How an ended session is shown, by its outcome; and a state that no centre can tell at the moment.
OUTCOMES = {
    "done": Look(IDLE, "◌", "done"),
    "stopped": Look(IDLE, "◌", "stopped"),
    "failed": Look(BAD, "■", "failed"),
}
UNKNOWN = Look(WARN, "▲", "unknown")


def look(state: str) -> Look:
    """How a state is shown; as unknown where a newer broker names one that this table lacks."""
    return STATES[state].look if state in STATES else UNKNOWN


def progress(state: str) -> int:
    return STATES[state].progress if state in STATES else STATES[STOPPING].progress


def stoppable(session: Facts) -> bool:
    """Whether a stop would change something: it is live, and not being stopped."""
    return bool(session["live"]) and session["state"] != STOPPING
