"""The refund table: which parts of a run are not charged, and why, in a sentence for people.

A run that the centre ended (a node, a boot, its own software) is not charged at all; time in a declared outage is not
charged; everything else is charged for the time that it was allocated, whoever ended it. Pure: outages are arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from ...units import format_duration
from ..jobs import Ending
from .runs import Usage
from .segments import Segment

Span = tuple[datetime, datetime]

NOT_CHARGED: Mapping[Ending, str] = {
    Ending.NODE_FAILURE: "a node of the centre failed",
    Ending.BOOT_FAILURE: "the centre could not start it",
    Ending.PREEMPTED: "the centre gave its place to another job",
    Ending.SITE_FAILURE: "the centre's own software ended it",
}
CHARGED: Mapping[Ending, str] = {
    Ending.COMPLETED: "it ran to its end",
    Ending.FAILED: "its program failed",
    Ending.CANCELLED: "it was cancelled",
    Ending.TIMEOUT: "its walltime was over",
    Ending.OUT_OF_MEMORY: "it needed more memory than it had asked for",
    Ending.DEADLINE: "its deadline was over",
    Ending.REQUEUED: "it was sent back to the queue on request",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """An outage that a centre declared: [`start`, `end`), or until further notice (None); of one partition or of all
    (""). `words` are the centre's own."""

    centre: str
    start: datetime
    end: datetime | None = None
    partition: str = ""
    words: str = ""

    def concerns(self, usage: Usage) -> bool:
        return self.centre == usage.centre and self.partition in ("", usage.partition)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """The spans of a run that are not charged, ordered and disjoint; `reason` says why, or why all of the run is
    charged."""

    spans: tuple[Span, ...] = ()
    reason: str = ""

    @property
    def cuts(self) -> tuple[datetime, ...]:
        """Returns where to cut the run, so that each segment is charged or not."""
        return tuple(edge for span in self.spans for edge in span)

    def covers(self, segment: Segment) -> bool:
        """Tells whether a segment is not charged. Its run must have been cut at `cuts`."""
        return any(start <= segment.start and segment.end <= end for start, end in self.spans)

    @property
    def length(self) -> timedelta:
        return sum((end - start for start, end in self.spans), timedelta())


def refund(usage: Usage, outages: Iterable[Outage] = ()) -> Refund:
    """Returns which parts of a run are not charged, by the table and by the outages of its centre."""
    if usage.start is None or usage.through is None:
        return Refund(reason="It never ran: nothing to charge.")
    if usage.ending and (why := NOT_CHARGED.get(usage.ending)):
        return Refund(spans=((usage.start, usage.through),), reason=f"Not charged: {why}{_word(usage)}.")
    found = [one for one in outages if one.concerns(usage)]
    spans = _joined(span for one in found if (span := _overlap(usage.start, usage.through, one)))
    why = _charged(usage)
    if not spans:
        return Refund(reason=f"Charged for the time that it was allocated: {why}.")
    lost = Refund(spans=spans)
    words = "; ".join(
        dict.fromkeys(one.words for one in found if one.words and _overlap(usage.start, usage.through, one))
    )
    reason = f"{format_duration(lost.length)} of it are not charged: they lie in an outage that the centre declared"
    return Refund(spans=spans, reason=f"{reason}{f' ({words})' if words else ''}. The rest is charged: {why}.")


def _charged(usage: Usage) -> str:
    if usage.ending is None:
        return "it still runs"
    by = f" by {usage.ended_by}" if usage.ended_by and usage.ending is Ending.CANCELLED else ""
    return CHARGED[usage.ending] + by


def _word(usage: Usage) -> str:
    return f" ({usage.state_raw})" if usage.state_raw else ""


def _overlap(start: datetime, end: datetime, outage: Outage) -> Span | None:
    first, last = max(start, outage.start), end if outage.end is None else min(end, outage.end)
    return (first, last) if first < last else None


def _joined(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Returns the union of those spans."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return tuple(joined)
