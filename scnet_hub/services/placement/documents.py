"""Makes the documents of docs/reference/rest.md for placements and quotes, of a session and of all jobs of a
cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...domain.placement import clusters
from ...domain.placement.clusters import ClusterPlace
from ...domain.placement.placement import Placement, Ranked
from ...domain.pricing.quotes import ClusterQuote, Quote
from ...domain.pricing.tariffs import NoPrice
from ...domain.sessions.names import request_document
from ...units import Amount
from ..documents import iso, number

Json = dict[str, Any]


def offer(ranked: Ranked, available: Amount | None = None) -> Json:
    load = ranked.offer.load
    return {
        "centre": ranked.offer.centre,
        "centre_name": ranked.offer.centre_name,
        "partition": ranked.offer.partition,
        "wait": ranked.wait.kind,
        "expected_start": ranked.wait.words,
        "expected_start_s": ranked.told_s,
        "p50_s": ranked.range.p50 if ranked.range else None,
        "p90_s": ranked.range.p90 if ranked.range else None,
        "starts_counted": ranked.range.starts if ranked.range else 0,
        "cores": load.cores if load else 0,
        "cores_free": ranked.cores_free,
        "gpus": load.gpus if load else 0,
        "gpus_free": ranked.gpus_free,
        "queued_jobs": load.queued_jobs if load else 0,
        "age_s": round(ranked.offer.age.total_seconds(), 1) if ranked.offer.age is not None else None,
        "cost": number(ranked.cost),
        "cost_per_hour": number(ranked.cost_per_hour),
        "available_after": None if available is None else number(available - ranked.cost),
        "reason": ranked.reason,
    }


def placement(decision: Placement, available: Amount | None = None) -> Json:
    ranked = [offer(one, available) for one in decision.ranked]
    return {
        "decided_at": iso(decision.decided_at),
        "request": request_document(decision.request),
        "reason": decision.reason,
        "best": ranked[0] if ranked else None,
        "ranked": ranked,
        "refusals": [
            {"centre": one.centre, "partition": one.partition, "reason": one.reason} for one in decision.refusals
        ],
    }


def quote(place: Ranked, one: Quote) -> Json:
    left = {"available": one.available, "after": one.after, "after_first": one.after_first, "after_max": one.after_max}
    return {
        "centre": place.offer.centre, "centre_name": place.offer.centre_name, "partition": place.offer.partition,
        "unit": one.max.unit, "low": number(one.low), "expected": number(one.expected), "max": number(one.max),
        "why": dict(one.why), "held_first": number(one.first), "held_first_s": one.first_for.total_seconds(),
        "walltime_s": one.walltime.total_seconds(), "starts_by": iso(one.starts_by),
        **{name: None if amount is None else number(amount) for name, amount in left.items()},
        "sentences": [*one.sentences()], "note": one.note,
    }  # fmt: skip


def quote_or_why(place: Ranked, one: Quote | NoPrice) -> Json:
    """Returns a quote; where there is none, the place and the problem."""
    if isinstance(one, Quote):
        return quote(place, one) | {"problem": None}
    there = {"centre": place.offer.centre, "centre_name": place.offer.centre_name, "partition": place.offer.partition}
    return there | {"problem": one.problem()}


def cluster_placement(
    decision: Placement, places: Sequence[ClusterPlace], quotes: Sequence[ClusterQuote | NoPrice]
) -> Json:
    ranked = [_cluster_place(place, one) for place, one in zip(places, quotes, strict=True)]
    found = placement(decision)
    reason = f"{clusters.why(places[0])}." if places else decision.reason
    if len(places) > 1:
        reason = f"{reason} Runner-up: {clusters.why(places[1])}."
    return {
        "decided_at": found["decided_at"], "request": found["request"], "refusals": found["refusals"],
        "jobs": len(places[0].jobs) if places else 0, "reason": reason,
        "best": ranked[0] if ranked else None, "ranked": ranked,
    }  # fmt: skip


def _cluster_place(place: ClusterPlace, one: ClusterQuote | NoPrice) -> Json:
    offer = place.first.offer
    return {
        "centre": offer.centre, "centre_name": offer.centre_name, "partition": offer.partition,
        "jobs": len(place.jobs), "now": place.now, "soon": place.soon, "first_start": place.first.wait.words,
        "last_start": place.last.wait.words, "last_start_s": place.last.told_s, "reason": f"{clusters.why(place)}.",
        "quote": _cluster_quote(one) if isinstance(one, ClusterQuote) else None,
        "problem": None if isinstance(one, ClusterQuote) else one.problem(),
    }  # fmt: skip


def _cluster_quote(one: ClusterQuote) -> Json:
    left = one.available
    return {
        "unit": one.max.unit, "low": number(one.low), "expected": number(one.expected), "max": number(one.max),
        "held_first": number(one.first), "held_first_s": one.first_for.total_seconds(),
        "available": None if left is None else number(left),
        "after_first": None if left is None else number(left - one.first),
        "after_max": None if left is None else number(left - one.max),
    }  # fmt: skip
