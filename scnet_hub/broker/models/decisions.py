"""The decision log: why sessions are where they are, the same again under another policy, and how good decisions
were."""

from __future__ import annotations

from .base import Credits, Dated, Document, Json, Listed, Seconds, Time
from .options import Requested
from .placements import Placement, PlaceRefused


class Refused(Document):
    code: str
    why: str
    times: int


class Decision(Document):
    """One copy of a session, or a start that was refused."""

    id: str
    session: str
    """"" of a refused start."""
    number: int
    """Of the copy; 0: refused."""
    decided_at: Time
    person: str
    project: str
    kind: str
    cause: str
    """first, stalled, failed, refused or unreachable"""
    centre: str
    centre_name: str
    partition: str
    chance: str | None
    """now, beside the queue, next or later"""
    expected_start_s: Seconds | None
    p50_s: Seconds | None
    """Half of such starts took no longer; null until there were enough."""
    p90_s: Seconds | None
    cost: Credits | None
    refused: Refused | None
    submitted_at: Time | None
    started_at: Time | None
    ready_at: Time | None
    """If this copy was the first to be ready."""
    ended_at: Time | None
    state: str | None
    end_reason: str
    waited_s: Seconds | None
    """Until it started."""
    ready_s: Seconds | None
    """From the click until it was ready."""
    as_promised: bool | None
    """It started within `p90_s`, or within 60 s where it was to start now and there was no `p90_s`; null: can't be
    said."""


class RankedPlace(Document):
    centre: str
    partition: str
    wait: str
    expected_start: str
    expected_start_s: Seconds | None
    p50_s: Seconds | None
    p90_s: Seconds | None
    age_s: Seconds | None
    cores_free: int
    cost: Credits
    reason: str


class ExplainedDecision(Decision):
    reason: str
    policy: str
    ranked: list[RankedPlace]
    refusals: list[PlaceRefused]
    more: int
    """Places that are not listed."""
    more_refused: int


class Explanation(Document):
    """Why a session is where it is, or why a start was refused."""

    id: str
    """As asked for."""
    session: str
    person: str
    project: str
    request: Requested
    decisions: list[ExplainedDecision]
    words: list[str]
    """Sentences."""


class Logged(Document):
    policy: str
    centre: str
    partition: str
    reason: str


class Replay(Document):
    """A decision once more, from what was known then."""

    id: str
    decided_at: Time
    logged: Logged
    policy: str
    same: bool
    placement: Placement
    words: list[str]


class Figures(Document):
    """Of decisions: what was promised and what became of it."""

    count: int
    further: int
    """Copies after the first ones."""
    promised: int
    kept: int
    hit_rate: float | None
    started: int
    expected_median_s: Seconds | None
    """Of those that started."""
    started_median_s: Seconds | None
    ready: int
    waiting: int
    """Not ready yet: in the next two until now."""
    ready_median_s: Seconds | None
    ready_p95_s: Seconds | None


class CentreFigures(Figures):
    centre: str
    centre_name: str


class ChanceFigures(Figures):
    chance: str


class RefusedCount(Document):
    code: str
    count: int
    example: str


class RefusedBy(Document):
    centre: str
    centre_name: str
    reason: str
    count: int


class Report(Dated):
    """How good the decisions of the last days were."""

    since: Time
    all: Figures
    by_centre: list[CentreFigures]
    by_chance: list[ChanceFigures]
    refused: list[RefusedCount]
    refused_by: list[RefusedBy]
    decisions: list[Decision]
    """The newest 50."""


class Record(Document):
    """What a decision was made from: what `scnet simulate --from` reads. Of another version it may look otherwise."""

    at: Time
    request: Requested
    own: Json
    terms: str


class RecordedDecision(Decision):
    record: Record


class Snapshot(Document):
    centre: str
    taken_at: Time
    loads: Json


class LogPage(Dated, Listed):
    """At most 20 first decisions about a start (none about further copies), the oldest first, and what they were made
    from."""

    since: Time
    until: Time
    replay_days: float
    left: int
    """Decisions from this page on."""
    decisions: list[RecordedDecision]
    terms: dict[str, list[Json] | None]
    """By digest; null: not kept any more."""
    snapshots: list[Snapshot]
