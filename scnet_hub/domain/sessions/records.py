"""A session and its copies as values, as the queries return them. No SQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session, from a person's request until its charge. `held` and `charged` are micro-credits; `request` and
    `placement` are their JSON documents."""

    id: str
    version: int
    person: str
    project: str
    kind: str
    name: str
    state: str
    live: bool
    request: dict[str, Any]
    placement: dict[str, Any]
    payload: dict[str, Any]
    lead: int
    continues: str
    in_line: bool
    why: str
    end_reason: str
    created_at: datetime
    ready_at: datetime | None
    cancelled_at: datetime | None
    ended_at: datetime | None
    held: int
    charged: int | None
    leased_until: datetime | None
    lease_end_reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A copy of a session: one job at a centre. `session` is the session's id; `used` is micro-credits."""

    session: str
    number: int
    cause: str
    asked_at: datetime
    centre: str
    partition: str
    account: str
    secret: str
    nonce: str
    state: str
    live: bool
    job_id: str
    end_reason: str
    node: str
    host: str
    port: int
    address: str
    reason: str
    place_in_queue: int
    submitted_at: datetime | None
    started_at: datetime | None
    cancelled_at: datetime | None
    ended_at: datetime | None
    unknown_since: datetime | None
    unknown_why: str
    forgotten_since: datetime | None
    used: int | None


class SessionCopy(NamedTuple):
    """A session with one of its copies."""

    session: Session
    copy: Copy

    @property
    def leads(self) -> bool:
        """Tells whether the session is shown by this copy."""
        return self.copy.number == self.session.lead


TOKEN = "JUPYTERHUB_API_TOKEN"  # in the environment of a job's payload


class NewCopy(NamedTuple):
    """A job of ours that its centre's last answer may not show yet."""

    centre: str
    partition: str
    submitted_at: datetime | None
    request: dict[str, Any]


class BriefRow(NamedTuple):
    """The fields of a live session, by its leading copy, for programs that compare thousands."""

    id: str
    version: int
    person: str
    project: str
    kind: str
    name: str
    state: str
    live: bool
    continues: str
    request: dict[str, Any]
    why: str
    end_reason: str
    created_at: datetime
    cancelled_at: datetime | None
    leased_until: datetime | None
    lease_end_reason: str
    centre: str
    partition: str
    node: str
    host: str
    port: int
    place_in_queue: int
    reason: str
    started_at: datetime | None
    unknown_since: datetime | None
    unknown_why: str
    token: str | None
