"""The differences between the centres and the broker."""

from __future__ import annotations

from .base import DatedList, Document, Time


class OrphanJob(Document):
    """A job at a centre that belongs to no session."""

    centre: str
    job_id: str
    name: str
    state: str
    since: Time
    session: str
    rule: str
    """What the broker does with the job."""


class LostSession(Document):
    """A session whose centre answers without listing its job."""

    id: str
    number: int
    person: str
    centre: str
    job_id: str
    since: Time
    why: str
    settles_at: Time
    """When the broker gives the session up."""


class Orphans(DatedList):
    jobs: list[OrphanJob]
    sessions: list[LostSession]
