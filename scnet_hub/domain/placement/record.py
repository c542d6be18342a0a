"""Writes a decision's inputs as JSON and reads them back without loss, so that it can be replayed: as it was, or by
another policy.

A record has three parts, of which two are shared by many decisions: `terms` (the centres' pages), the loads of each
snapshot, and the small part of the decision itself. Pure: the decision log keeps the parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from datetime import datetime, timedelta
from functools import partial
from operator import attrgetter
from typing import Any

from ...units import Amount
from ..jobs import Backfill, Booking, JobRequest, NodeLoad, PartitionLoad, Waiting
from ..standard.centre import Announcement, Maintenance
from .availability import Shape
from .calibration import Forecast, Kind, Range
from .offers import Offer
from .placement import POLICIES, Inputs, Placement, Usual, place, soonest

Json = dict[str, Any]
Snapshot = tuple[str, datetime]  # centre, taken at
Loads = Mapping[str, PartitionLoad]  # by partition
MICROSECOND = timedelta(microseconds=1)

# Fields that change from decision to decision (`max_age` where a centre's looks take long); all other fields of an
# offer are from the centre's page.
OWN = ("state", "why", "pending", "refused", "startup", "age", "max_age", "open_for", "blocked")
TERMS = tuple(one.name for one in fields(Offer) if one.compare and one.name not in (*OWN, "load", "taken_at"))


_WEIGHTS = tuple(one.name for one in fields(Usual))
_TERMS_OF = attrgetter(*TERMS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The inputs of one decision in parts: `own` and `terms` as JSON, `loads` by snapshot as they are."""

    own: Json
    terms: list[Json]
    loads: Mapping[Snapshot, Loads]


# ---- whole records


def encode(inputs: Inputs, at: datetime) -> tuple[Json, Mapping[Snapshot, Loads]]:
    """Returns the part of a decision made `at` that is its own, and the loads that it refers to by their age."""
    loads: dict[Snapshot, dict[str, PartitionLoad]] = {}
    own = [_own(offer, at, loads) for offer in inputs.as_judged()]
    centres = {offer.centre for offer in inputs.offers}
    ranges = [
        [*kind, *promised]
        for kind, promised in inputs.forecast.ranges.items()
        if not kind.centre or kind.centre in centres
    ]
    weights = [getattr(inputs.weights, name) for name in _WEIGHTS]
    found = {"policy": inputs.policy, "weights": weights, "offers": own, "ranges": ranges}
    return found | {"scale": inputs.forecast.scale}, loads


def terms(offers: Iterable[Offer]) -> tuple[Any, ...]:
    """Returns the terms in the centres' pages, for comparison: they are written again only when they differ."""
    return tuple(_TERMS_OF(offer) for offer in offers)


def encode_terms(offers: Iterable[Offer]) -> list[Json]:
    return [_without_usual(offer, TERMS) for offer in offers]


def snapshots(own: Json, terms: Sequence[Json], at: datetime) -> list[Snapshot]:
    """Returns the snapshots that a decision made `at` refers to."""
    ages = zip(terms, own["offers"], strict=True)
    return sorted({(term["centre"], at - age * MICROSECOND) for term, (age, *_) in ages if age is not None})


def decode(record: Record, at: datetime) -> Inputs:
    own = record.own
    offers = tuple(_offer(term, one, at, record.loads) for term, one in zip(record.terms, own["offers"], strict=True))
    ranges = {Kind(chance, delay, centre): Range(*promised) for chance, delay, centre, *promised in own["ranges"]}
    forecast = Forecast(ranges, own.get("scale", 1.0))
    return Inputs(offers=offers, forecast=forecast, policy=own["policy"], weights=Usual(*own["weights"]))


def replay(request: JobRequest, inputs: Inputs, at: datetime, policy: str = "") -> Placement:
    """Repeats the decision, with its own policy or the policy of that name."""
    chosen = POLICIES[policy or inputs.policy]
    weighed = partial(soonest, weights=inputs.weights) if chosen is soonest else chosen
    again = place(request, inputs.as_judged(), now=at, policy=weighed, forecast=inputs.forecast)
    return replace(again, inputs=inputs)


# ---- an offer


def _own(offer: Offer, at: datetime, loads: dict[Snapshot, dict[str, PartitionLoad]]) -> list[Any]:
    """Returns [microseconds from its snapshot to `at`, or None; the fields that differ from the default]."""
    own = _without_usual(offer, OWN)
    age = None if offer.taken_at is None else (at - offer.taken_at) // MICROSECOND
    shared = loads.setdefault((offer.centre, offer.taken_at), {}) if offer.taken_at else None
    if offer.load is not None and (shared is None or shared.setdefault(offer.partition, offer.load) is not offer.load):
        own["load"] = encode_load(offer.load, at)
    return [age, own] if own else [age]


def _offer(terms: Json, own: Sequence[Any], at: datetime, loads: Mapping[Snapshot, Loads]) -> Offer:
    age, rest = own[0], dict(own[1]) if len(own) > 1 else {}
    taken_at = None if age is None else at - age * MICROSECOND
    load = decode_load(rest.pop("load"), at) if "load" in rest else None
    if load is None and taken_at is not None:
        load = loads.get((terms["centre"], taken_at), {}).get(terms["partition"])
    values = {name: _DECODE.get(name, _as_it_is)(value) for name, value in {**terms, **rest}.items()}
    return Offer(**values, load=load, taken_at=taken_at)


def _without_usual(offer: Offer, names: Iterable[str]) -> Json:
    found = {}
    for name in names:
        value = getattr(offer, name)
        if name not in _USUAL or value != _USUAL[name]:
            found[name] = _ENCODE.get(name, _as_it_is)(value)
    return found


_USUAL = {one.name: one.default for one in fields(Offer) if one.default is not MISSING}


def _as_it_is(value: Any) -> Any:
    return value


def _duration(value: timedelta | None) -> int | None:
    return None if value is None else value // MICROSECOND


def _amount(value: Amount) -> list[Any]:
    return [value.micros, value.unit]


def _documents(values: Iterable[Maintenance | Announcement]) -> list[Json]:
    return [value.model_dump(mode="json") for value in values]


_ENCODE: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("max_walltime", "max_age", "age", "open_for"), _duration),
    **dict.fromkeys(("core_hour", "gpu_hour"), _amount),
    **dict.fromkeys(("maintenance", "announcements"), _documents),
    "pending": lambda shapes: [[*shape] for shape in shapes],
    "blocked": lambda one: one and one.model_dump(mode="json"),
}
_DECODE: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(
        ("max_walltime", "max_age", "age", "open_for"), lambda value: None if value is None else value * MICROSECOND
    ),
    **dict.fromkeys(("core_hour", "gpu_hour"), lambda value: Amount(*value)),
    "maintenance": lambda found: tuple(Maintenance(**one) for one in found),
    "announcements": lambda found: tuple(Announcement(**one) for one in found),
    "pending": lambda shapes: tuple(Shape(*shape) for shape in shapes),
    "blocked": lambda one: one and Announcement(**one),
}


# ---- a snapshot: lists, because there are thousands of nodes and jobs; without default values at their ends


def encode_loads(loads: Loads, taken_at: datetime) -> Json:
    return {name: encode_load(load, taken_at) for name, load in loads.items()}


def decode_loads(document: Json, taken_at: datetime) -> dict[str, PartitionLoad]:
    return {name: decode_load(load, taken_at) for name, load in document.items()}


def encode_load(load: PartitionLoad, taken_at: datetime) -> Json:
    """Encodes a load. Times are seconds, exact to the microsecond; those of running jobs count from `taken_at`."""
    counts = [
        load.name,
        load.queued_jobs,
        load.queued_cores,
        load.running_jobs,
        _duration(load.max_walltime),
        load.up,
        load.reserves,
    ]
    nodes = [
        _cut([n.name, n.cores, n.cores_used, n.memory, n.memory_used, n.gpus, n.gpus_used, n.gpu_model, n.up], _NODE)
        for n in load.nodes
    ]
    running = [
        _cut([_seconds(one.ends_at - taken_at), one.cores, one.gpus, one.nodes, one.node], _JOB) for one in load.running
    ]
    waiting = [
        _cut([None if one.walltime is None else _seconds(one.walltime), one.cores, one.gpus, one.nodes], _JOB[:4])
        for one in load.waiting
    ]
    looks = load.backfill
    given = {"given": [load.core_unit, load.node_gpus]} if (load.core_unit, load.node_gpus) != (1, 0) else {}
    passes = {"backfill": [_seconds(looks.last - taken_at), _seconds(looks.every), looks.depth]} if looks else {}
    keeps = {"keeps_nodes": True} if load.keeps_nodes else {}
    return {"is": counts, "nodes": nodes, "running": running, "waiting": waiting, **passes, **given, **keeps}


def decode_load(document: Json, taken_at: datetime) -> PartitionLoad:
    name, queued_jobs, queued_cores, running_jobs, limit, up, reserves = document["is"]
    last, every, *depth = document.get("backfill", (None, None))
    core_unit, node_gpus = document.get("given", (1, 0))
    return PartitionLoad(
        name=name, queued_jobs=queued_jobs, queued_cores=queued_cores, running_jobs=running_jobs, up=up,
        reserves=reserves, core_unit=core_unit, node_gpus=node_gpus, keeps_nodes=document.get("keeps_nodes", False),
        max_walltime=None if limit is None else limit * MICROSECOND,
        nodes=tuple(NodeLoad(**dict(zip(_NODE_FIELDS, _whole(row, _NODE), strict=True))) for row in document["nodes"]),
        running=tuple(_booking(taken_at, *_whole(row, _JOB)) for row in document["running"]),
        waiting=tuple(_waiting(*_whole(row, _JOB[:4])) for row in document["waiting"]),
        backfill=None if last is None else Backfill(taken_at + _span(last), _span(every), *depth),
    )  # fmt: skip


_NODE_FIELDS = ("name", "cores", "cores_used", "memory", "memory_used", "gpus", "gpus_used", "gpu_model", "up")
_NODE = (None, None, 0, 0, 0, 0, 0, "", True)
_JOB = (None, None, 0, 1, "")


def _booking(taken_at: datetime, seconds: float, cores: int, gpus: int, nodes: int, node: str) -> Booking:
    return Booking(ends_at=taken_at + _span(seconds), cores=cores, gpus=gpus, nodes=nodes, node=node)


def _waiting(seconds: float | None, cores: int, gpus: int, nodes: int) -> Waiting:
    return Waiting(walltime=None if seconds is None else _span(seconds), cores=cores, gpus=gpus, nodes=nodes)


def _cut(row: list[Any], usual: Sequence[Any]) -> list[Any]:
    """Removes default values from the end; the first two values always stay."""
    while len(row) > 2 and row[-1] == usual[len(row) - 1]:
        row.pop()
    return row


def _whole(row: Sequence[Any], usual: Sequence[Any]) -> list[Any]:
    return [*row, *usual[len(row) :]]


def _seconds(span: timedelta) -> float | int:
    """Returns the exact seconds: an integer if whole, else a decimal of six places, which `_span` rounds back."""
    whole, rest = divmod(span, timedelta(seconds=1))
    return whole if not rest else round(span / timedelta(seconds=1), 6)


def _span(seconds: float) -> timedelta:
    return round(seconds * 1_000_000) * MICROSECOND
