"""Usage records of the centres: those in suspense, what operators decide about them, and where all come from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from ..bodies import MAX_BODY
from .base import Dated, Day, DayOrNone, DayTaken, Document, Json, Prose, Seconds, Taken, Time, texts

MOST = 500  # events of one call


class UsageRecord(Document):
    """One run of a job, as its centre's accounting says."""

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
    """Of each model, how many."""
    memory: int
    state: str
    scheduler_state: str
    reason: str
    """Why it can't be charged."""
    seen_at: Time
    decision: str
    decided_by: str
    decided_at: Time | None


class Suspense(Dated):
    records: list[UsageRecord]
    """The oldest first."""
    next: int | None
    """The next page's `after`; null on the last page."""
    more: int
    """Records behind this page."""


class Decide(Taken):
    decision: Literal["drop", "believe"]
    """drop: it is not charged · believe: it is charged all the same"""
    words: Annotated[Prose, WithJsonSchema(texts(MAX_BODY))]
    """Why."""


class Pull(Taken):
    """The days whose accounting is asked for again, in the federation's zone."""

    day: DayTaken
    to: DayOrNone = None
    """The last of the days; that day alone unless given."""


class Manifest(Document):
    """A centre's day: what ended, what went on, and what the records here lack."""

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
    """Those for which that is news."""
