"""Usage records of the centres: records in suspense, the operators' decisions about them, and where records come
from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from ..bodies import MAX_BODY
from .base import Dated, Day, DayOrNone, DayTaken, Document, Json, Prose, Seconds, Taken, Time, texts

MOST = 500  # events of one call


class UsageRecord(Document):
    """One run of a job, from its centre's accounting."""

    id: int
    centre: str
    job: str
    name: str
    session: str
    copy_: int | None = Field(alias="copy")
    revision: int
    final: bool
    submitted_at: Time | None
    start: Time | None
    end: Time | None
    elapsed_s: Seconds
    cores: int
    gpus: list[tuple[str, int]]
    """The number of GPUs of each model."""
    memory: int
    state: str
    scheduler_state: str
    reason: str
    """Why the record can't be charged."""
    seen_at: Time
    decision: str
    decided_by: str
    decided_at: Time | None


class Suspense(Dated):
    records: list[UsageRecord]
    """Oldest first."""
    next: int | None
    """The next page's `after`; null on the last page."""
    more: int
    """The number of records after this page."""


class Decide(Taken):
    decision: Literal["drop", "believe"]
    """drop: the record is not charged · believe: the record is charged as it is"""
    words: Annotated[Prose, WithJsonSchema(texts(MAX_BODY))]
    """Why."""


class Pull(Taken):
    """The days whose accounting is queried again, in the federation's zone."""

    day: DayTaken
    to: DayOrNone = None
    """The last of the days. Default: the same day."""


class Manifest(Document):
    """A centre's day: how many runs ended, how many continued, and which records are missing here."""

    centre: str
    day: Day
    finals: int
    open_jobs: list[str]
    sums: Json
    digest: str
    watermark: Time
    missing: list[str]
    excuse: str


class Manifests(Document):
    manifests: list[Manifest]


class Events(Taken):
    """Usage records that a centre exported as CloudEvents, one JSON object a line."""

    events: Annotated[list[str], Field(max_length=MOST)]


class EventsTaken(Document):
    taken: int
    sessions: list[str]
    """The number of events that were new."""
