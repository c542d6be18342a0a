"""The decision log: why sessions are where they are, decisions repeated under another policy, and how good decisions
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
    """The session's id; "" for a refused start."""
    number: int
    """The number of the copy; 0 for a refused start."""
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
    """The forecast: half of such starts took no longer; null until there were enough starts."""
    p90_s: Seconds | None
    cost: Credits | None
    refused: Refused | None
    submitted_at: Time | None
    started_at: Time | None
    ready_at: Time | None
    """null unless this copy was the first to be ready."""
    ended_at: Time | None
    state: str | None
    end_reason: str
    waited_s: Seconds | None
    """From the submission until the start."""
    ready_s: Seconds | None
    """From the click until it was ready."""
    as_promised: bool | None
    """True if the copy started within `p90_s`, or within 60 s if it was to start now without a `p90_s`; null if that
    can't be determined."""


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
    """The number of places that are not listed."""
    more_refused: int


class Explanation(Document):
    """Why a session is where it is, or why a start was refused."""

    id: str
    """The options as asked for."""
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
    """A decision repeated from the inputs of that time."""

    id: str
    decided_at: Time
    logged: Logged
    policy: str
    same: bool
    placement: Placement
    words: list[str]


class Figures(Document):
    """Figures about decisions: what was promised and what happened."""

    count: int
    further: int
    """Copies after the first copies."""
    promised: int
    kept: int
    hit_rate: float | None
    started: int
    expected_median_s: Seconds | None
    """Of the copies that started."""
    started_median_s: Seconds | None
    ready: int
    waiting: int
    """Copies that are not ready yet: for the next two figures, counted until now."""
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
    """The 50 newest decisions."""


class Record(Document):
    """The inputs of a decision, as `scnet simulate --from` reads them. Records of another version may have other
    fields."""

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
    """At most 20 first decisions about a start (not about further copies), the oldest first, with their inputs."""

    since: Time
    until: Time
    replay_days: float
    left: int
    """Decisions since the start of this page."""
    decisions: list[RecordedDecision]
    terms: dict[str, list[Json] | None]
    """The inputs by digest; null: no longer kept."""
    snapshots: list[Snapshot]
