"""An orphan as a value: a job that bears a session's name and belongs to no live copy."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

STOPPED = "a session's that is over: it is being stopped"


STRANGE = "no session of this federation has this name: it is another hub's, or from a database that was lost. It is left alone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphan:
    """A live job of a session's name that no live copy has. `session` is "" where no row knows it."""

    centre: str
    job_id: str
    name: str
    state: str
    since: datetime
    session: str
    rule: str
