"""Placement: the centre and partition that will have a request ready soonest, with every reason.

`place` is pure: the same request, offers and `now` give the same answer, so a decision can be replayed from its record.
It carries nothing out and raises nothing; a caller that needs a place raises `NoPlacement` with the refusals.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ...errors import NoPlacement
from ..jobs import JobRequest
from .availability import Outlook, Shape, look
from .calibration import UNTRIED, Calibration, Forecast, Range
from .fast_replace import alike
from .offers import Offer, allotted, hourly_of, memory_of, more_than_asked, offers_of, shape_of
from .policies import POLICIES, USUAL, Policy, Ranked, Usual, judge, soonest, tie, why_after, why_best
from .rules import RULES, Rule, refusal
from .wait_model import Chance, Wait, expect

__all__ = [
    "POLICIES", "RULES", "Calibration", "Chance", "Forecast", "Inputs", "Offer", "Outlook", "Placement", "Policy",
    "Range", "Ranked", "Refusal", "Rule", "Shape", "Usual", "Wait", "allotted", "expect", "hourly_of", "look",
    "memory_of", "more_than_asked", "offers_of", "place", "rank", "refused", "shape_of", "soonest",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The reason against one partition of one centre; never empty."""

    centre: str
    partition: str
    reason: str
    centre_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """All inputs of a placement beside the request and the time; `policy` is a name in `POLICIES`, with these weights.
    `refused` says, by centre, why this person can't be there, and `startups`, how many seconds such a session takes
    there until it is ready, where the offers don't say so."""

    offers: tuple[Offer, ...]
    forecast: Forecast = UNTRIED
    policy: str = "soonest"
    weights: Usual = USUAL
    refused: Mapping[str, str] = field(default_factory=dict)
    startups: Mapping[str, float] = field(default_factory=dict)

    def as_judged(self) -> Iterator[Offer]:
        """Yields the offers as they are for that person and that session."""
        for one in self.offers:
            why, taken = self.refused.get(one.centre, one.refused), self.startups.get(one.centre, one.startup)
            yield one if why is one.refused and taken == one.startup else alike(one, refused=why, startup=taken)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A decision with its reasons. `ranked` are the offers that fit, best first, each with the reason for its rank;
    `refusals` say why others don't fit; `more` and `more_refused` count those that a large federation does not list;
    `reason` is the sentence for the best, or for why there is none. `inputs` are those of the decision, where they are
    kept."""

    request: JobRequest
    decided_at: datetime
    reason: str
    ranked: tuple[Ranked, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    more: int = 0
    more_refused: int = 0
    inputs: Inputs | None = field(default=None, compare=False, repr=False)

    @property
    def best(self) -> Ranked | None:
        return self.ranked[0] if self.ranked else None

    @property
    def runners_up(self) -> tuple[Ranked, ...]:
        return self.ranked[1:]


def place(
    request: JobRequest,
    offers: Iterable[Offer],
    *,
    now: datetime,
    policy: Policy = soonest,
    rules: Sequence[Rule] = RULES,
    forecast: Forecast = UNTRIED,
    most: int | None = None,
) -> Placement:
    """Returns where `request` should go at `now` (aware UTC), with the forecast from earlier starts. Lists all, or
    `most`, runners-up and refusals, and counts the others. Never raises if there is no place: then `best` is None."""
    ranked, refusals = rank(request, offers, now=now, policy=policy, rules=rules, forecast=forecast)
    if most is None:
        return answer(request, now, ranked, refusals)
    listed, told = ranked[: most + 1], refusals[:most]
    return answer(request, now, listed, told, more=len(ranked) - len(listed), more_refused=len(refusals) - len(told))


def rank(
    request: JobRequest,
    offers: Iterable[Offer],
    *,
    now: datetime,
    policy: Policy = soonest,
    rules: Sequence[Rule] = RULES,
    forecast: Forecast = UNTRIED,
) -> tuple[list[Ranked], list[Refusal]]:
    """Returns the order of `place` without sentences: the offers that fit, best first, and the refusals."""
    known = sorted((offer.at(now) for offer in offers), key=tie)
    reasons = [(offer, refusal(request, offer, rules)) for offer in known]
    fitting = [judge(request, offer, now, forecast) for offer, reason in reasons if not reason]
    ranked = sorted(fitting, key=lambda one: policy(request, one))
    refusals = [
        Refusal(centre=offer.centre, centre_name=offer.centre_name, partition=offer.partition, reason=reason)
        for offer, reason in reasons
        if reason
    ]
    return ranked, refusals


def answer(
    request: JobRequest,
    now: datetime,
    ranked: Sequence[Ranked],
    refusals: Sequence[Refusal],
    *,
    more: int = 0,
    more_refused: int = 0,
) -> Placement:
    """Returns the decision with its reasons, from the ranked and refused offers; `more` and `more_refused` are not
    listed."""
    reasoned = _with_reasons(request, ranked)
    reason = reasoned[0].reason if reasoned else _nowhere(request, refusals, more_refused)
    return Placement(
        request=request,
        decided_at=now,
        reason=reason,
        ranked=reasoned,
        refusals=tuple(refusals),
        more=more,
        more_refused=more_refused,
    )


def refused(placement: Placement) -> NoPlacement:
    """Returns the error to raise where `placement.best` is None; `details["refusals"]` has every centre's reason."""
    return NoPlacement(
        placement.reason,
        hint="Ask for less, for a shorter time, or without a fixed centre; each centre's reason is listed.",
        details={
            "refusals": [
                {"centre": one.centre, "partition": one.partition, "reason": one.reason} for one in placement.refusals
            ]
        },
    )


def _with_reasons(request: JobRequest, ranked: Sequence[Ranked]) -> tuple[Ranked, ...]:
    if not ranked:
        return ()
    best, *others = ranked
    first = alike(best, reason=why_best(request, best, others[0] if others else None))
    return (first, *(alike(other, reason=why_after(request, other, best)) for other in others))


def _nowhere(request: JobRequest, refusals: Sequence[Refusal], unlisted: int) -> str:
    """Says why there is no place. If a place was asked for, only its own reason counts: the others were excluded by the
    request."""
    if not refusals:
        return "The federation has no centres yet."
    chosen = [
        one for one in refusals if request.centre in ("", one.centre) and request.partition in ("", one.partition)
    ] or refusals
    listed = "; ".join(f"{one.centre_name or one.centre}/{one.partition}: {one.reason}" for one in chosen[:3])
    hidden = max(0, len(chosen) - 3) + (0 if request.centre and chosen is not refusals else unlisted)
    more = f"; and {hidden} more" if hidden else ""
    if request.centre and chosen is not refusals:
        return f"The centre that you asked for cannot take this now: {listed}{more}."
    return f"No centre can take this now: {listed}{more}."
