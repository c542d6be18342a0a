"""The decision log's own queries: what is kept for how long, and what sessions took to be ready."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from scnet_hub.adapters.db.database import Database, Tx
from scnet_hub.adapters.db.queries import decisions as decision_rows
from scnet_hub.adapters.db.queries import sessions as session_rows
from tests.builders.copies import split
from tests.builders.postgres import undone

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


@pytest.fixture
def tx(database: Database) -> Iterator[Tx]:
    with undone(database) as transaction:
        yield transaction


def decision(tx: Tx, name: str, at: datetime, **given: Any) -> None:
    usual: dict[str, Any] = {
        "project": "p", "session": None, "number": 0, "cause": "first", "code": "overdrawn", "said": "", "times": 1,
        "centre": "", "partition": "", "reason": "", "request": {}, "answer": {}, "inputs": {"long": "x" * 1000},
        "terms": "t", "person": "ada",
    }  # fmt: skip
    decision_rows.add(tx, id=name, decided_at=at, **(usual | given))


def session(tx: Tx, name: str, **given: Any) -> None:
    usual: dict[str, Any] = {
        "id": name, "person": "ada", "project": "p", "kind": "lab", "name": name, "state": "ready", "live": True,
        "request": {"app": ""}, "placement": {}, "payload": {}, "why": "", "end_reason": "", "created_at": NOW,
        "held": 0, "continues": "", "in_line": False, "cause": "first", "asked_at": NOW, "centre": "a",
        "partition": "m", "account": "", "secret": "", "nonce": "",
    }  # fmt: skip
    session_rows.insert(tx, *split(**(usual | given)))


def test_a_sweep_goes_in_steps_and_leaves_what_is_young(tx: Tx) -> None:
    decision_rows.keep_terms(tx, "t", [])
    decision_rows.keep_terms(tx, "nobody's", [])
    for number in range(decision_rows.SWEPT + 10):
        decision(tx, f"old{number}", NOW - timedelta(days=100))
        decision_rows.keep(tx, {("a", NOW - timedelta(days=100, seconds=number)): {}}, NOW - timedelta(days=100))
    decision(tx, "young", NOW)
    decision_rows.keep(tx, {("a", NOW): {"cpu": 1}}, NOW)
    limits = {"decided_before": NOW - timedelta(days=90), "kept_before": NOW - timedelta(days=14)}
    gone = []
    while not gone or gone[-1]:
        gone.append(decision_rows.sweep(tx, **limits))
    assert gone == [2 * decision_rows.SWEPT, 20, 0]
    assert (
        decision_rows.count(tx) == (1, 1, 1)
        and decision_rows.get(tx, "young")
        and decision_rows.terms_of(tx, "t") == []
    )
    assert decision_rows.loads(tx, [("a", NOW), ("b", NOW)]) == {("a", NOW): {"cpu": 1}}


def test_documents_come_back_and_take_little_room(tx: Tx) -> None:
    decision(tx, "d", NOW, request={"cores": 1}, answer={"ranked": ["é"]})
    assert decision_rows.inputs(tx, "d") == ({"cores": 1}, {"ranked": ["é"]}, {"long": "x" * 1000}, "t")
    assert (tx.exec_driver_sql("select length(inputs) from scnet_decisions").scalar() or 0) < 100


def test_only_the_persons_newest_decision_counts_as_the_same(tx: Tx) -> None:
    decision(tx, "first", NOW - timedelta(seconds=50), request={"cores": 1})
    decision(tx, "other", NOW - timedelta(seconds=10), person="ben")
    assert decision_rows.last_of(tx, "ada", NOW - timedelta(seconds=60)) == ("first", "overdrawn", {"cores": 1})
    assert decision_rows.last_of(tx, "ada", NOW - timedelta(seconds=40)) is None
    decision_rows.once_more(tx, "first")
    row = decision_rows.get(tx, "first")
    assert row is not None and row.times == 2 and row.was_ready is None


def test_a_decision_is_read_with_what_became_of_its_copy(tx: Tx) -> None:
    session(tx, "s", ready_at=NOW + timedelta(seconds=9), started_at=NOW + timedelta(seconds=7))
    session_rows.add_copy(
        tx, "s", 2, cause="stalled", asked_at=NOW, centre="b", partition="m", account="", secret="", nonce=""
    )
    for number in (1, 2):
        decision(tx, f"d{number}", NOW, session="s", number=number, code="")
    first, second = decision_rows.of_session(tx, "s")
    assert (first.was_ready, second.was_ready, second.job_state) == (NOW + timedelta(seconds=9), None, "intent")
    assert [row.id for row in decision_rows.newest(tx, NOW, 10)] == ["d1", "d2"] and decision_rows.newest(
        tx, NOW + timedelta(seconds=1), 10
    ) == []
    with pytest.raises(sa.exc.IntegrityError):
        decision(tx, "again", NOW, session="s", number=1)


def test_samples_are_of_labs_that_were_ready_newest_first(tx: Tx) -> None:
    for name, ready, app, kind in (("s1", 10, "", "lab"), ("s2", 20, "torch", "lab"), ("s3", 30, "", "batch")):
        started = NOW + timedelta(seconds=5)
        session(tx, name, ready_at=NOW + timedelta(seconds=ready), started_at=started, request={"app": app}, kind=kind)
    session(tx, "s4", request={})
    assert decision_rows.startups(tx, NOW) == [("a", "torch", 15.0), ("a", "", 5.0)]
    assert decision_rows.startups(tx, NOW, limit=1) == [("a", "torch", 15.0)]
