"""Where a session would be placed, and what it would cost."""

from __future__ import annotations

from .base import Credits, Document, Seconds, Time
from .options import Requested
from .problems import Problem


class Offer(Document):
    """One partition as a place for the session."""

    centre: str
    centre_name: str
    partition: str
    wait: str
    """now, soon or later"""
    expected_start: str
    """The wait in words: "now", "behind 3 queued jobs"."""
    expected_start_s: Seconds | None
    p50_s: Seconds | None
    """The forecast: half of `starts_counted` such starts took no longer."""
    p90_s: Seconds | None
    starts_counted: int
    cores: int
    cores_free: int
    gpus: int
    gpus_free: int
    queued_jobs: int
    age_s: Seconds | None
    cost: Credits
    """The cost of the whole walltime."""
    cost_per_hour: Credits
    available_after: Credits | None
    reason: str


class PlaceRefused(Document):
    centre: str
    partition: str
    reason: str


class Quote(Document):
    """What a session would cost: low, expected and max, and what is left of the project's credits afterwards."""

    centre: str
    centre_name: str
    partition: str
    unit: str
    low: Credits
    expected: Credits
    max: Credits
    why: dict[str, str]
    held_first: Credits
    """Held when the session starts, for `held_first_s`."""
    held_first_s: Seconds
    walltime_s: Seconds
    starts_by: Time
    available: Credits | None
    after: Credits | None
    after_first: Credits | None
    after_max: Credits | None
    sentences: list[str]
    note: str
    """Where a job gets, and is charged for, more than it asks for."""


class PlacedQuote(Quote):
    problem: None


class NoQuote(Document):
    """A place that has no price."""

    centre: str
    centre_name: str
    partition: str
    problem: Problem


class Placement(Document):
    decided_at: Time
    request: Requested
    reason: str
    """A sentence."""
    best: Offer | None
    ranked: list[Offer]
    refusals: list[PlaceRefused]


class PlacementAsked(Placement):
    """A placement that starts nothing."""

    refusal: Problem | None = None
    """The refusal with which a start would fail nevertheless: over quota, overdrawn; null if a start would be
    accepted."""
    quotes: list[PlacedQuote | NoQuote] | None = None
    """With `quotes`: for each centre, the quote of its best place, or the problem why there is no quote."""
