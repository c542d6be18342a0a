"""Tests a hub's decisions against other policies: the same decision from its record, starts that would have gone
elsewhere, and which numbers may be compared."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from scnet_hub.domain.jobs import Waiting
from scnet_hub.domain.placement import record
from scnet_hub.domain.placement.placement import Inputs, Offer, place
from scnet_hub.domain.sessions.names import request_document
from scnet_hub.errors import BadOption
from scnet_hub.services.placement import accuracy
from scnet_hub.simulator import replay as replays
from scnet_hub.simulator.replay import Replay, candidates, document, weights_of
from scnet_hub.units import credits
from tests.unit.domain.placement.build import NOW, load, node, offer, request

Json = dict[str, Any]


def line(
    number: int, *offers: Offer, waited: float | None = 2.0, code: str = "", **asked: Any
) -> tuple[Json, Json, Json]:
    """One decision as a page has it, its terms, and the snapshots that it rests on."""
    at = NOW + timedelta(seconds=number)
    wanted = request(**asked)
    best = place(wanted, offers, now=at).best
    own, loads = record.encode(Inputs(offers=offers), at)
    there = {"centre": "", "partition": "", "chance": None, "expected_start_s": None, "cost": None}
    if best and not code:
        there = {
            "centre": best.offer.centre, "partition": "cpu", "chance": accuracy.SAID[best.wait.chance],
            "expected_start_s": best.wait.seconds, "cost": float(best.cost),
        }  # fmt: skip
    told = there | {
        "id": f"d{number}", "decided_at": at.isoformat(), "p50_s": None, "state": "completed", "waited_s": waited,
        "ready_s": waited, "refused": {"code": code, "why": "w", "times": 3} if code else None,
        "record": {"at": at.isoformat(), "request": request_document(wanted), "own": own, "terms": f"t{number}"},
    }  # fmt: skip
    snapshots = {
        key: {"centre": key[0], "taken_at": key[1].isoformat(), "loads": record.encode_loads(one, key[1])}
        for key, one in loads.items()
    }
    return told, {f"t{number}": record.encode_terms(offers)}, snapshots


def page(*lines: tuple[Json, Json, Json]) -> Json:
    terms, snapshots = {}, {}
    for _, more, loads in lines:
        terms |= more
        snapshots |= loads
    told = {
        "decisions": [one for one, _, _ in lines],
        "terms": terms,
        "snapshots": [*snapshots.values()],
        "left": len(lines),
    }
    return dict(json.loads(json.dumps(told)))


DEAR = offer("alpha", core_hour=credits(3))
CHEAP = offer("beta", order=1, load=load(node("n1", cores_used=4)))  # fuller


def told(*lines: tuple[Json, Json, Json], names: str = "", weights: tuple[str, ...] = ()) -> Json:
    replay = Replay(candidates(names, weights))
    replay.feed(page(*lines))
    return document(replay)


def test_the_words_for_chances_are_those_of_the_log() -> None:
    assert replays.CHANCES == accuracy.SAID


def test_its_own_policy_comes_to_what_was_done_and_another_goes_elsewhere() -> None:
    found = told(line(1, DEAR, CHEAP), line(2, DEAR, waited=4.0))
    assert (found["requests"], found["decided_otherwise_now"], found["not_kept"]) == (2, 0, 0)
    own, other = found["policies"]["soonest"], found["policies"]["cheapest"]
    assert own["elsewhere"]["count"] == 0 and own["agreed"]["count"] == 2 and own["agreed"]["real"]["p95_s"] == 4.0
    assert (other["elsewhere"]["count"], other["elsewhere"]["share"], other["cost"]["mean"]) == (1, 0.5, 2.0)
    assert other["agreed"]["real"] == {"known": 1, "not_known": 0, "mean_s": 4.0, "p50_s": 4.0, "p95_s": 4.0}
    assert other["elsewhere"]["real"]["p50_s"] == 2.0
    first = found["decisions"][0]
    assert (
        first["logged"]["centre"] == "alpha"
        and first["policies"]["cheapest"]["centre"] == "beta"
        and first["same_again"]
    )
    assert found["as_decided"]["cost"]["mean"] == 3.0 and found["as_decided"]["agreed"]["count"] == 2


def test_weights_of_the_command_line_replace_the_hubs() -> None:
    found = told(line(1, DEAR, CHEAP), weights=("price=50",))
    assert list(found["policies"]) == ["soonest, price=50"]
    assert found["policies"]["soonest, price=50"]["elsewhere"]["count"] == 1


def test_what_was_refused_is_counted_and_not_compared() -> None:
    nowhere = offer("alpha", refused="no account")
    found = told(
        line(1, DEAR), line(2, DEAR, code="over-quota", waited=None), line(3, nowhere, code="no-placement", waited=None)
    )
    assert found["refused"] == [{"code": "over-quota", "count": 3}, {"code": "no-placement", "count": 3}]
    assert found["requests"] == 1 and found["policies"]["cheapest"]["no_place"] == 1
    assert found["policies"]["cheapest"]["expected"]["known"] == 1
    assert found["decisions"][2]["logged"] is None is found["decisions"][2]["policies"]["soonest"]


def test_what_never_started_and_what_nobody_can_tell_is_counted_apart() -> None:
    waits = load(
        node("n1", cores_used=8),
        node("n2", cores_used=8),
        queued_jobs=1,
        queued_cores=8,
        waiting=(Waiting(cores=8, walltime=None),),
    )
    found = told(line(1, offer("alpha", load=waits), waited=None))
    soonest = found["policies"]["soonest"]
    assert soonest["chances"]["later"] == 1 and soonest["expected"] == {
        "known": 0,
        "not_known": 1,
        "mean_s": None,
        "p50_s": None,
        "p95_s": None,
    }
    assert soonest["agreed"]["real"]["not_known"] == 1


def test_a_decision_whose_snapshots_are_gone_is_counted_and_left_out() -> None:
    kept, gone = line(1, DEAR), line(2, offer("beta", taken_at=NOW))
    replay = Replay(candidates("", ()))
    both = page(kept, gone)
    both["snapshots"] = [one for one in both["snapshots"] if one["centre"] == "alpha"]
    replay.feed(both)
    assert (len(replay.decisions), replay.not_kept) == (1, 1)
    replay.feed(page(kept) | {"terms": {"t1": None}})
    assert (len(replay.decisions), replay.not_kept) == (1, 2)


@pytest.mark.parametrize(
    "change", [{"terms": []}, {"snapshots": [{}]}, {"decisions": [{"record": None}]}, {"terms": {"t1": [{"x": 1}]}}]
)
def test_what_is_no_page_is_a_sentence(change: Json) -> None:
    with pytest.raises(BadOption, match="not a page of a decision log"):
        Replay(candidates("", ())).feed(page(line(1, DEAR)) | change)


def test_nothing_is_a_document_too() -> None:
    empty = document(Replay(candidates("cheapest", ())))
    assert empty["requests"] == 0 and empty["policies"]["cheapest"]["elsewhere"]["share"] is None


@pytest.mark.parametrize("text", ["price", "price=x", "weight=1", "price=-1", "price=nan", "", "price=1,,away=0"])
def test_weights_that_are_none_are_a_sentence(text: str) -> None:
    with pytest.raises(BadOption, match="is not a valid set of weights"):
        weights_of(text)


def test_policies_are_the_products() -> None:
    assert [one.name for one in candidates("", ())] == ["soonest", "cheapest"]
    assert [one.name for one in candidates("cheapest,cheapest", ("away=0",))] == ["cheapest", "soonest, away=0"]
    with pytest.raises(BadOption, match="Unknown policy 'dice'"):
        candidates("dice", ())
