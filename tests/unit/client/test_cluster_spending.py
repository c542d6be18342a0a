"""Tests what a cluster costs and how long credits last at its size: decisions and words, and the cluster that keeps to
its budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from distributed import Client as DaskClient

import scnet_hub as scnet
from scnet_hub.client.clusters.cluster import FederatedCluster
from scnet_hub.client.clusters.sizes import Size
from scnet_hub.client.clusters.spending import Load, Outlook, Rate, SpendingLimit, Stage, outlook, rate, to_end, words
from scnet_hub.errors import BadOption, ScnetError
from tests.builders.fakes.broker import FakeBroker, until
from tests.unit.client.panels import samples as s

Make = Callable[..., FederatedCluster]
HOUR = timedelta(hours=1)


# ---- the cost an hour


def running(**changes: Any) -> dict[str, Any]:
    return s.session(kind="dask", cores=2, per_hour=1.6, **changes)


def waiting(**changes: Any) -> dict[str, Any]:
    return s.session(kind="dask", state="queued", cores=2, per_hour=None, **changes)


def test_a_waiting_job_costs_as_much_as_a_running_one_like_it_and_an_unknown_price_is_no_number() -> None:
    two = Size(2)
    assert rate([]) == Rate(0, 0)
    assert rate([(running(), two), (running(), two)]) == Rate(3.2, 3.2)
    assert rate([(running(), two), (waiting(), two)]) == Rate(1.6, 3.2)
    assert rate([(running(), two), (waiting(), Size(4))]) == Rate(1.6, None)
    assert rate([(running(), two), (waiting(centre="beta"), two)]) == Rate(1.6, None)
    assert rate([(running(), two), ({}, two)]) == Rate(1.6, None)
    assert rate([(waiting(), two)]) == Rate(0, None)
    assert rate([(running() | {"per_hour": None}, two)]) == Rate(None, None)  # its centre has no price


# ---- until when credits last


def balance(**changes: Any) -> dict[str, Any]:
    return s.balance(per_hour=10.0, runs_out_now_at=s.iso(36_000), own=None, **changes)


def test_credits_last_as_the_broker_says_and_shorter_in_proportion_when_more_runs() -> None:
    steady = Rate(3.2, 3.2)
    assert outlook(balance(), [], steady, s.NOW) == Outlook(until=s.NOW + 10 * HOUR)
    assert outlook(balance(), [], Rate(3.2, 13.2), s.NOW) == Outlook(until=s.NOW + 5 * HOUR)
    assert outlook(balance(), [], Rate(3.2, None), s.NOW) == Outlook(until=s.NOW + 10 * HOUR)
    for_years = balance() | {"runs_out_now_at": None}
    assert outlook(for_years, [], steady, s.NOW) == Outlook(until=None)
    assert outlook(for_years, [], Rate(0.1, 1000.0), s.NOW) is None


@pytest.mark.parametrize("hourly", [0.0, 1.0])
def test_a_balance_that_does_not_know_our_jobs_yet_predicts_nothing(hourly: float) -> None:
    assert outlook(balance() | {"per_hour": hourly}, [], Rate(3.2, 3.2), s.NOW) is None
    assert outlook(balance(), [], Rate(0, None), s.NOW) is None


def test_the_persons_own_cap_counts_if_it_ends_first() -> None:
    own = {"cap": 20.0, "spent": 8.0, "held": 5.0, "available": 7.0}
    mine = [running(in_flight=2.0), running(in_flight=0.0, project="other"), waiting(in_flight=0.0)]
    capped = balance() | {"own": own}
    assert outlook(capped, mine, Rate(1.6, 1.6), s.NOW) == Outlook(until=s.NOW + 10 / 1.6 * HOUR, capped=True)
    assert outlook(capped, mine, Rate(1.6, 4.0), s.NOW) == Outlook(until=s.NOW + 2.5 * HOUR, capped=True)
    wide = capped | {"own": own | {"cap": 2000.0}}
    assert outlook(wide, mine, Rate(1.6, 1.6), s.NOW) == Outlook(until=s.NOW + 10 * HOUR)
    assert outlook(capped, [], Rate(1.6, 1.6), s.NOW) is None


def test_the_words_name_the_size_the_project_and_the_cap() -> None:
    until_two = Outlook(until=s.NOW + 2 * HOUR)
    assert words(Rate(0, None), None, None, 4) == words(Rate(None, None), until_two, balance(), 4) == ""
    assert words(Rate(1.6, 3.2), None, None, 2) == "1.60 credits an hour, 3.20 when all 2 jobs run."
    assert words(Rate(3.2, 3.2), until_two, balance(), 2) == (
        "3.20 credits an hour. At this size the credits of Monsoon ensembles last until 23 Nov 14:00 UTC, if "
        "everything else that runs continues."
    )
    assert "With the jobs that run now the credits" in words(Rate(3.2, None), until_two, balance(), 2)
    assert "last for years, if" in words(Rate(3.2, 3.2), Outlook(until=None), balance(), 2)
    capped = balance() | {"own": {"cap": 20.0}}
    assert words(Rate(3.2, 3.2), Outlook(until=s.NOW, capped=True), capped, 2) == (
        "3.20 credits an hour. At this size your own 20.00 credits in Monsoon ensembles last until 23 Nov 12:00 UTC, "
        "if your other sessions continue."
    )


# ---- the budget


def test_a_budget_warns_at_80_percent_and_is_reached_at_100() -> None:
    limit = SpendingLimit.of("20")
    assert [limit.stage(cost) for cost in (0, 15.99, 16, 19.99, 20, 25)] == [
        Stage.WITHIN, Stage.WITHIN, Stage.NEAR, Stage.NEAR, Stage.REACHED, Stage.REACHED,
    ]  # fmt: skip
    assert limit.problem(3) is None and SpendingLimit.of(None).problem(1e9) is None
    near, over = limit.problem(16.4), limit.problem(20.13)
    assert near and near["title"] == "The cluster has used 82% of its budget of 20.00 credits."
    assert over and over["title"] == "The cluster's budget of 20.00 credits is used up (20.13)."
    assert all(one["hint"].endswith("To allow more: cluster.budget = 40.") for one in (near, over))


@pytest.mark.parametrize("value", [0, -1, True, "much", float("nan"), float("inf"), [20]])
def test_what_is_no_amount_is_refused(value: Any) -> None:
    with pytest.raises(BadOption, match="budget: "):
        SpendingLimit.of(value)


def test_only_workers_whose_end_loses_nothing_end() -> None:
    loads = [
        Load(name="waits", connected=False),
        Load(name="works", connected=True, busy=True, results=frozenset("a")),
        Load(name="copy", connected=True, results=frozenset("ab")),
        Load(name="twin", connected=True, results=frozenset("b")),
        Load(name="alone", connected=True, results=frozenset("c")),
        Load(name="empty", connected=True),
    ]
    assert to_end(loads) == ["waits", "copy", "empty"]  # one of two that hold "b" stays
    assert to_end([]) == []


@pytest.fixture
def broker() -> Iterator[FakeBroker]:
    with FakeBroker() as fake:
        yield fake


@pytest.fixture
def make(broker: FakeBroker) -> Iterator[Make]:
    made = []

    def build(**options: Any) -> FederatedCluster:
        made.append(scnet.dask(client=broker.client(), **{"tick": (0.2, 0.5), "job_cores": 1, **options}))
        return made[-1]

    yield build
    for cluster in made:
        cluster.close()


def double(number: int) -> int:
    return number * 2


def test_the_cost_an_hour_and_the_end_of_credits_are_shown_once_jobs_run(broker: FakeBroker, make: Make) -> None:
    broker.hold = True
    broker.balances[0] |= {"runs_out_now_at": (datetime.now(UTC) + timedelta(days=2)).isoformat()}
    cluster = make(cores=2)
    broker.wait(lambda: len(broker.sessions) == 2)
    assert cluster.shown()["cluster"]["money"] == ""
    broker.run("s0")
    said = until(lambda: "last until" in cluster.money() and cluster.money(), 20)
    assert said.startswith("0.80 credits an hour, 1.60 when all 2 jobs run. At this size the credits of Monsoon")
    assert said in cluster.explain()
    broker.balances[0]["own"] = {"cap": 2.0, "spent": 0.5, "held": 1.0, "available": 0.5}
    broker.run("s1")
    until(lambda: "1.60 credits an hour. At this size your own 2.00 credits in Monsoon" in cluster.money(), 20)
    broker.balances[0] |= {"own": None, "per_hour": 0.1}  # a balance that can't know our jobs
    broker.hold = True
    cluster.scale(3)
    until(lambda: cluster.money() == "1.60 credits an hour, 2.40 when all 3 jobs run.", 20)
    read = broker.calls.count(("GET", "balances"))
    looks = len(broker.calls) + 3
    until(lambda: len(broker.calls) > looks, 20)
    assert broker.calls.count(("GET", "balances")) <= read + 1, "not at every look"


def test_a_used_up_budget_starts_no_more_and_loses_no_result(broker: FakeBroker, make: Make) -> None:
    cluster = make(cores=3, budget=1)
    with DaskClient(cluster) as client:
        client.wait_for_workers(3, timeout=60)
        result = client.submit(double, 21)
        assert result.result(timeout=30) == 42
        broker.update("s0", in_flight=0.85)
        problem = until(lambda: cluster.shown()["problem"], 10)  # 0.85 + 2 * 0.25
        assert problem["title"] == "The cluster's budget of 1.00 credits is used up (1.35)."
        broker.wait(lambda: len(broker.live()) == 1)
        assert result.result(timeout=30) == 42 and len(cluster.worker_spec) == 1
        with pytest.raises(BadOption, match="is used up"):
            cluster.scale(2)
        cluster.grow(3)
        assert len(cluster.worker_spec) == 1
        broker.kill(broker.live()[0]["id"])
        until(lambda: not cluster.worker_spec, 20)  # not replaced
        with pytest.raises(ScnetError, match="is used up"):
            cluster.wait_for_workers(1, timeout=30)
        cluster.budget = 5
        assert cluster.shown()["problem"] is None
        cluster.scale(1)
        assert result.result(timeout=60) == 42  # computed again
    assert "of 5.00 credits so far" in repr(cluster)


def test_a_budget_that_is_nearly_used_up_is_a_warning(broker: FakeBroker, make: Make) -> None:
    broker.hold = True
    cluster = make(cores=1, budget="0.3")
    problem = until(lambda: cluster.shown()["problem"], 10)
    assert problem["title"] == "The cluster has used 83% of its budget of 0.30 credits."
    until(lambda: any("used 83%" in note for _, note in cluster._submitter.notes), 10)
    assert len(cluster.worker_spec) == 1
