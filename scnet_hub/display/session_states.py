"""Defines the states of a session, each with its word, icon, tone and progress, and whether the session is live in it.

This is the only table of the states, for the lifecycle, the broker's documents, pages, panels and commands.
`domain/sessions/lifecycle.py` decides how a session moves from state to state. Reads the session document of
docs/reference/rest.md and makes no calls.
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
    """How a state is shown: icon and word say the same as the tone's colour."""

    tone: str
    icon: str
    word: str


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """One state. `progress` is a percentage of the start. `on_node`: the job has a node; `starts`: the state leads to
    READY without further action of the person."""

    name: str
    look: Look
    progress: int
    live: bool = True
    starts: bool = False
    on_node: bool = False


# in the order of a session's life
TABLE = (
    State(name=INTENT, look=Look(WAIT, "○", "preparing"), progress=10, starts=True),
    State(name=SUBMITTED, look=Look(WAIT, "○", "submitted"), progress=20, starts=True),
    State(name=QUEUED, look=Look(WAIT, "○", "queued"), progress=30, starts=True),
    State(name=STARTING, look=Look(WAIT, "◐", "starting"), progress=60, starts=True, on_node=True),
    State(name=READY, look=Look(GOOD, "●", "running"), progress=95, on_node=True),
    State(name=STOPPING, look=Look(WAIT, "◑", "stopping"), progress=90),
    State(name=ENDED, look=Look(IDLE, "◌", "ended"), progress=100, live=False),
    State(name=CHARGED, look=Look(IDLE, "◌", "charged"), progress=100, live=False),
)
STATES = {state.name: state for state in TABLE}
LIVE = tuple(state.name for state in TABLE if state.live)
UNTIL_READY = tuple(state.name for state in TABLE if state.starts)
WITHOUT_NODE = tuple(state.name for state in TABLE if state.starts and not state.on_node)
ON_NODE = tuple(state.name for state in TABLE if state.on_node)
# another state follows without further action
MOVING = tuple(state.name for state in TABLE if state.live and state.look.tone == WAIT)

# How an ended session is shown, by its outcome; and a session whose state is unknown at the moment.
OUTCOMES = {
    "done": Look(IDLE, "◌", "done"),
    "stopped": Look(IDLE, "◌", "stopped"),
    "failed": Look(BAD, "■", "failed"),
}
UNKNOWN = Look(WARN, "▲", "unknown")


def look(state: str) -> Look:
    """Returns how to show a state; shown as unknown if a newer broker names a state that this table lacks."""
    return STATES[state].look if state in STATES else UNKNOWN


def progress(state: str) -> int:
    return STATES[state].progress if state in STATES else STATES[STOPPING].progress


def stoppable(session: Facts) -> bool:
    """Returns whether a stop would change something: the session is live, and not being stopped."""
    return bool(session["live"]) and session["state"] != STOPPING
