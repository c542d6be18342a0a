"""The panel of a person's own sessions, and the view of one batch job, which is a session too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ...display.session_states import MOVING
from ...display.times import read
from .base import Panel, View, script
from .poller import Poller, question
from .snapshot import Table, badge, clock, noted, plain
from .state import plural, session_row, shown

Json = dict[str, Any]
RECENT = timedelta(minutes=10)  # how long an ended session stays listed
TABLE = Table(
    "My sessions",
    lambda state: state.get("sessions", ()),
    (
        noted(
            "Session",
            lambda row: row["name"],
            lambda row: f"{row['kind']}, {row['size']}",
            text=lambda row: f"{row['name']} ({row['kind']})",
        ),
        plain("Centre", lambda row: row["centre"]),
        badge("State", lambda row: row["detail"]),
        clock("Time left", "until", "expires_at"),
        noted("Cost", lambda row: row["cost"], lambda row: "charged" if row["charged"] else "so far", num=True),
    ),
    tail=lambda row: row["detail"],
)


def state(sessions: Sequence[Json], now: datetime) -> Json:
    """Makes the state of the answer of `GET sessions?all=1`; live sessions come first."""
    rows = sorted(
        (session_row(one) for one in sessions if listed(one, now)),
        key=lambda row: (not row["live"], row["created_at"] or ""),
    )
    live = [row for row in rows if row["live"]]
    waiting = sum(row["tone"] == "wait" for row in live)
    summary = (plural(len(live), "session") if live else "no sessions") + (f", {waiting} waiting" if waiting else "")
    return shown(now, summary, moving=any(one["live"] and one["state"] in MOVING for one in sessions), sessions=rows)


def listed(session: Json, now: datetime) -> bool:
    """Returns whether a session is alive, or ended only recently."""
    ended = read(session.get("ended_at"))
    return bool(session["live"]) or bool(ended and now - ended < RECENT)


def job_state(session: Json, now: datetime) -> Json:
    """Makes the state of one job alone, whenever it ended, with the summary "train-k3x9fa at Centre A: running"."""
    row = session_row(session)
    summary = f"{row['name']}{' at ' if row['centre'] else ''}{row['centre']}: {row['word']}"
    return shown(now, summary, moving=bool(row["live"]) and session["state"] in MOVING, sessions=[row])


class SessionsPanel(Panel):
    """Own sessions: the live ones, and those that ended in the last ten minutes."""

    _esm = script("sessions")
    parts = (TABLE,)
    questions = (question("sessions", all=True),)

    def draw(self, answers: Sequence[Any], now: datetime) -> Json:
        return state(answers[0], now)


class JobView(SessionsPanel):
    """One batch job, live; a job that has left the list of recent sessions is shown as it was last seen."""

    def __init__(self, poller: Poller, stop: Callable[[str], Any], session: Json) -> None:
        self._poller, self._stop, self._session = poller, stop, session
        View.__init__(self, job_state(session, datetime.now(UTC)), self._said)

    def draw(self, answers: Sequence[Any], now: datetime) -> Json:
        self._session = next((one for one in answers[0] if one["id"] == self._session["id"]), self._session)
        return job_state(self._session, now)


PANEL = SessionsPanel
