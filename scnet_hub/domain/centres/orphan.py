"""An orphan: a job that bears a session's name and belongs to no live copy."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

STOPPED = "its session has ended: it is being stopped"


STRANGE = (
    "no session of this federation has this name: it belongs to another hub, or to a lost database. It is not stopped"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphan:
    """A live job with a session's name that no live copy has. `session` is "" where no row knows it."""

    centre: str
    job_id: str
    name: str
    state: str
    since: datetime
    session: str
    rule: str
