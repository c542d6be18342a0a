"""Tests that the inputs of a decision survive JSON unchanged, and lead to the same decision."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from scnet_hub.domain.jobs import Backfill, Booking, JobRequest, NodeLoad, PartitionLoad, Waiting
from scnet_hub.domain.placement import record
from scnet_hub.domain.placement.calibration import Calibration, Forecast, Kind, Range
from scnet_hub.domain.placement.placement import POLICIES, Inputs, Offer, Shape, Usual, Wait, place
from scnet_hub.domain.standard.centre import Announcement, Maintenance
from scnet_hub.units import Amount

from .build import NOW, load, node, offer, request
from .test_properties import FEDERATIONS as PLAUSIBLE
from .test_properties import REQUESTS

COUNTS = st.integers(0, 2**40)
WORDS = st.text(max_size=12)
SPANS = st.timedeltas(timedelta(), timedelta(days=400))
TIMES = st.timedeltas(timedelta(days=-3), timedelta(days=30)).map(lambda span: NOW + span)
AMOUNTS = st.builds(Amount, COUNTS)
MAINTENANCE = st.builds(
    lambda start, long: Maintenance(start=start, end=start + long + timedelta(seconds=1), reason="r"), TIMES, SPANS
)
ANNOUNCEMENTS = st.builds(
    lambda start, long,
    blocks: Announcement(message="m", start=start, end=start + long + timedelta(seconds=1), blocks_starts=blocks),
    TIMES, SPANS, st.booleans(),
)  # fmt: skip
NODES = st.builds(
    NodeLoad,
    name=WORDS, cores=COUNTS, cores_used=COUNTS, memory=COUNTS, memory_used=COUNTS, gpus=COUNTS, gpus_used=COUNTS,
    gpu_model=WORDS, up=st.booleans(),
)  # fmt: skip
LOADS = st.builds(
    PartitionLoad,
    name=WORDS, nodes=st.lists(NODES, max_size=3).map(tuple), queued_jobs=COUNTS, queued_cores=COUNTS,
    running_jobs=COUNTS, max_walltime=st.none() | SPANS, up=st.booleans(), reserves=st.none() | COUNTS,
    core_unit=st.integers(1, 128), node_gpus=st.integers(0, 8), keeps_nodes=st.booleans(),
    backfill=st.none() | st.builds(Backfill, last=TIMES, every=st.just(timedelta(seconds=30)),
    depth=st.none() | COUNTS),
    running=st.lists(st.builds(Booking, ends_at=TIMES, cores=COUNTS, gpus=COUNTS, nodes=COUNTS, node=WORDS),
    max_size=3).map(tuple),
    waiting=st.lists(st.builds(Waiting, cores=COUNTS, gpus=COUNTS, nodes=COUNTS, walltime=st.none() | SPANS),
    max_size=3).map(tuple),
)  # fmt: skip
OFFERS = st.builds(
    Offer,
    centre=st.sampled_from("abc"), partition=st.sampled_from("xyz"), cores=COUNTS, max_walltime=SPANS,
    centre_name=WORDS, nodes=COUNTS, memory=COUNTS, memory_per_core=COUNTS, gpus=COUNTS, gpu_model=WORDS,
    core_hour=AMOUNTS, gpu_hour=AMOUNTS, load=st.none() | LOADS, taken_at=st.none() | TIMES, max_age=SPANS,
    state=st.sampled_from(["up", "stale", "down", "unknown"]), why=WORDS,
    pending=st.lists(st.builds(Shape, COUNTS, COUNTS, COUNTS), max_size=2).map(tuple), refused=WORDS, order=COUNTS,
    startup=st.floats(0, 1e6), maintenance=st.lists(MAINTENANCE, max_size=2).map(tuple),
    announcements=st.lists(ANNOUNCEMENTS, max_size=2).map(tuple), age=st.none() | SPANS, open_for=st.none() | SPANS,
    blocked=st.none() | ANNOUNCEMENTS,
)  # fmt: skip
FEDERATIONS = st.lists(OFFERS, max_size=5, unique_by=lambda one: (one.centre, one.partition)).map(tuple)
RANGES = st.dictionaries(
    st.builds(Kind, st.integers(0, 3), st.integers(0, 9), st.sampled_from(["", "a", "b"])),
    st.builds(Range, st.floats(0, 1e6), st.floats(0, 1e6), st.integers(1, 200)), max_size=4,
)  # fmt: skip


def there_and_back(inputs: Inputs) -> Inputs:
    """As through the database: each part is text on its own."""
    made, snapshots = record.encode(inputs, NOW)
    own, terms = json.loads(json.dumps([made, record.encode_terms(inputs.offers)]))
    kept = {
        (centre, taken_at): json.loads(json.dumps(record.encode_loads(loads, taken_at)))
        for (centre, taken_at), loads in snapshots.items()
    }
    wanted = record.snapshots(own, terms, NOW)
    loads = {
        (centre, taken_at): record.decode_loads(kept.get((centre, taken_at), {}), taken_at)
        for centre, taken_at in wanted
    }
    return record.decode(record.Record(own=own, terms=terms, loads=loads), NOW)


def test_how_old_news_may_be_is_a_decisions_own_and_was_once_a_page_of_terms() -> None:
    """It moves with how long a centre's looks take: the terms of a thousand centres would be written anew each time."""
    usual, slow = offer("a"), replace(offer("a"), max_age=timedelta(seconds=501))
    assert record.terms([usual]) == record.terms([slow])
    inputs = Inputs(offers=(slow,))
    assert there_and_back(inputs).offers == inputs.offers
    made, _ = record.encode(Inputs(offers=(usual,)), NOW)
    before = [one | {"max_age": 501_000_000} for one in record.encode_terms([usual])]
    assert record.decode(record.Record(own=made, terms=before, loads={}), NOW).offers[0].max_age == slow.max_age


@given(LOADS)
def test_a_load_comes_back_as_it_was(one: PartitionLoad) -> None:
    assert record.decode_load(json.loads(json.dumps(record.encode_load(one, NOW))), NOW) == one


@given(FEDERATIONS, RANGES)
def test_what_a_decision_was_made_from_comes_back_as_it_was(offers: tuple[Offer, ...], ranges: Any) -> None:
    back = there_and_back(
        Inputs(offers=offers, forecast=Forecast(ranges, 0.25), policy="cheapest", weights=Usual(2.0, 0.5, 0.0))
    )
    assert (back.offers, back.policy, back.weights) == (offers, "cheapest", Usual(2.0, 0.5, 0.0))
    assert back.forecast.scale == 0.25
    known = {"", *(one.centre for one in offers)}
    assert dict(back.forecast.ranges) == {kind: promised for kind, promised in ranges.items() if kind.centre in known}


@given(REQUESTS, PLAUSIBLE, st.sampled_from(sorted(POLICIES)))
def test_a_decision_is_the_same_from_its_record(wanted: JobRequest, offers: list[Offer], policy: str) -> None:
    inputs = Inputs(offers=tuple(offers), policy=policy)
    decided = place(wanted, offers, now=NOW, policy=POLICIES[policy])
    assert record.replay(wanted, there_and_back(inputs), NOW) == decided


def test_a_replay_knows_what_was_promised_then() -> None:
    learned = Calibration()
    for seconds in range(1, 21):
        learned.learn(Wait(0, "now", 1.0), "alpha", float(seconds))  # type: ignore[arg-type]
    inputs = Inputs(offers=(offer(),), forecast=learned.forecast())
    decided = place(request(), inputs.offers, now=NOW, forecast=inputs.forecast)
    again = record.replay(request(), there_and_back(inputs), NOW)
    assert (
        again == decided and again.best is not None and again.best.range is not None and again.best.range.starts == 20
    )


def test_another_policy_may_choose_another_place() -> None:
    dear = offer("alpha", core_hour=Amount(9))
    cheap = offer("beta", core_hour=Amount(1), load=load(node(cores_used=8), queued_jobs=3), order=1)
    inputs = there_and_back(Inputs(offers=(dear, cheap)))
    best = {name: record.replay(request(), inputs, NOW, name).best for name in POLICIES}
    assert {name: one.offer.centre for name, one in best.items() if one} == {"soonest": "alpha", "cheapest": "beta"}


def test_a_replay_weighs_as_it_was_weighed_then() -> None:
    fuller = offer("alpha", load=load(node(cores_used=4), node("n2", cores_used=4)), core_hour=Amount(1))
    emptier = offer("beta", core_hour=Amount(9 * 10**6), order=1)
    best = {
        price: record.replay(
            request(), there_and_back(Inputs(offers=(fuller, emptier), weights=Usual(1.0, price, 3.0))), NOW
        ).best
        for price in (0.0, 100.0)
    }
    assert {price: one.offer.centre for price, one in best.items() if one} == {0.0: "beta", 100.0: "alpha"}


def test_a_decision_of_its_own_is_small() -> None:
    """Twenty-two centres, of which nothing is unusual: what many decisions share is not repeated in each."""
    offers = tuple(offer(f"c{number}", order=number) for number in range(22))
    own, loads = record.encode(Inputs(offers=offers), NOW)
    assert len(json.dumps(own)) < 600 and len(loads) == 22


def test_an_offer_that_place_has_aged_is_recorded_too() -> None:
    aged = offer().at(NOW)
    assert there_and_back(Inputs(offers=(aged,))).offers == (aged,)
    bare = replace(aged, age=None, open_for=None, blocked=None)
    assert place(request(), [aged], now=NOW) == place(request(), [bare], now=NOW)


def test_nothing_of_an_offer_is_left_out() -> None:
    """A new field of `Offer` that JSON does not know must get its line in `record`."""
    for name in Offer.__dataclass_fields__:
        field = Offer.__dataclass_fields__[name]
        assert not field.compare or name in (*record.TERMS, *record.OWN, "load", "taken_at")
    plain = {"str", "int", "float", "bool", "State"}
    kinds = {name: str(Offer.__dataclass_fields__[name].type) for name in (*record.TERMS, *record.OWN)}
    assert not [name for name, kind in kinds.items() if kind not in plain and name not in record._ENCODE]
