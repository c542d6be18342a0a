"""Sessions, whole and in brief, and the call home of their first process."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ...domain.sessions.lifecycle import STATES
from ...errors import BadOption
from .base import Credits, DatedList, Document, Seconds, Taken, Time
from .placements import Placement

State = Annotated[str, Field(json_schema_extra={"enum": [*STATES]})]


class Event(Document):
    at: Time
    message: str


class Warned(Document):
    """A fact that a session's owner should know now."""

    code: str
    """credits: they are running out · maintenance: it would end this session · announcement: the centre has an
    announcement in force · unknown: the state of the session at its centre is unknown"""
    message: str
    at: Time


class Copy(Document):
    """One of a session's jobs at the centres."""

    number: int
    cause: str
    leads: bool
    centre: str
    centre_name: str
    partition: str
    state: State
    live: bool
    job_id: str
    asked_at: Time
    started_at: Time | None
    ended_at: Time | None
    reason: str
    place_in_queue: int
    unknown_since: Time | None
    unknown_why: str
    end_reason: str


class Successor(Document):
    """The session that continues another one."""

    id: str
    state: State
    live: bool
    centre: str
    centre_name: str
    end_reason: str


class BriefSession(Document):
    """A live session without amounts and events."""

    id: str
    version: int
    """Increases with every change."""
    person: str
    project: str
    kind: str
    name: str
    state: State
    live: bool
    continues: str
    centre: str
    partition: str
    centre_name: str
    node: str
    host: str
    port: int
    place_in_queue: int
    reason: str
    why: str
    """Why this centre was chosen."""
    end_reason: str
    cores: int
    gpus: int
    created_at: Time
    started_at: Time | None
    unknown_since: Time | None
    expires_at: Time | None
    """When its walltime ends."""
    warnings: list[Warned]
    token: str | None = None
    """For the hub alone: the token of the job."""


class ListedSession(BriefSession):
    """A session as lists show it."""

    job_id: str
    unknown_why: str
    lease_end: str
    """Why the session's lease can't be extended; "" while it can."""
    memory: int
    walltime_s: Seconds
    dashboard: str
    """The hub's path to a page about the session, as the request named it; "" without one."""
    submitted_at: Time | None
    ready_at: Time | None
    ended_at: Time | None
    leased_until: Time | None
    """Until when the held credits last; null: for the whole walltime."""
    stops_at: Time | None
    """When the session will be stopped because credits run out."""
    held: Credits
    in_flight: Credits
    per_hour: Credits | None
    """The cost while it runs, by today's prices; null while it does not run, or without a price."""
    charged: Credits | None
    events: list[Event]
    exit_code: str
    """"status:signal" of its program, from the usage record; "" until the record has arrived."""


class Session(ListedSession):
    placement: Placement
    copies: list[Copy]
    successor: Successor | None
    succeeded_by: str
    """The id of the session that took over the name."""


class Sessions(DatedList):
    sessions: list[ListedSession | BriefSession]


class Log(Document):
    log: str
    """The end of the job's output."""


class CalledHome(Document):
    ok: Literal[True]


class CallHome(Taken):
    """The call home of a session's first process, proven by its one-time nonce."""

    nonce: Annotated[str, Field(max_length=200)]
    phase: Literal["started", "listening"]
    host: Annotated[str, Field(max_length=253, pattern=r"^[A-Za-z0-9.:_%\[\]-]*$")]
    port: Annotated[int, Field(ge=0, le=65535)]
    """0 until the process listens; then at least 1024."""
    node: Annotated[str, Field(max_length=253, pattern=r"^[A-Za-z0-9.:_%\[\]-]*$")]

    @model_validator(mode="after")
    def _place(self) -> Self:
        if 0 < self.port < 1024:
            raise BadOption(f"port: must be from 1024 to 65535, not {self.port}.", details={"field": "port"})
        if self.phase == "listening" and not (self.host and self.port):
            raise BadOption("host and port: give both, or neither.", details={"field": "host"})
        return self
