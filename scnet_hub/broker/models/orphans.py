"""What the centres and the broker do not agree about."""

from __future__ import annotations

from .base import DatedList, Document, Time


class OrphanJob(Document):
    """A job at a centre that no session has."""

    centre: str
    job_id: str
    name: str
    state: str
    since: Time
    session: str
    rule: str
    """What becomes of it."""


class LostSession(Document):
    """A session whose centre answers without its job."""

    id: str
    number: int
    person: str
    centre: str
    job_id: str
    since: Time
    why: str
    settles_at: Time
    """When it is given up."""


class Orphans(DatedList):
    jobs: list[OrphanJob]
    sessions: list[LostSession]
