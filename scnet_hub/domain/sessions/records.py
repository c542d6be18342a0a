"""A session and its copies as values, as the queries return them. No SQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """A session and one of its copies; amounts are micro-credits, `request` and `placement` their JSON documents.

    The session's own fields come first; from `number` on the fields are the copy's. A copy is one job at a centre."""

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
    lease_end: str
    number: int
    cause: str
    asked_at: datetime
    centre: str
    partition: str
    account: str
    secret: str
    nonce: str
    job_state: str
    job_live: bool
    job_id: str
    job_end: str
    node: str
    host: str
    port: int
    address: str
    reason: str
    place_in_queue: int
    submitted_at: datetime | None
    started_at: datetime | None
    job_cancelled_at: datetime | None
    job_ended_at: datetime | None
    unknown_since: datetime | None
    unknown_why: str
    forgotten_since: datetime | None
    used: int | None

    @property
    def leads(self) -> bool:
        return self.number == self.lead


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
    lease_end: str
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
