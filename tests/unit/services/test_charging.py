"""Tests the way from usage records to charges: by the centre's page, part by part, and never free by accident."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scnet_hub.domain.centres.state import CentreState
from scnet_hub.domain.jobs import Ending, JobState, UsageRecord
from scnet_hub.domain.ledger import bills
from scnet_hub.domain.ledger.bills import Bill
from scnet_hub.domain.pricing.tariffs import NoPrice
from scnet_hub.domain.sessions.records import Copy
from scnet_hub.domain.standard.centre import parse_centre
from scnet_hub.domain.standard.federation import parse_federation
from scnet_hub.domain.usage.refunds import Outage
from scnet_hub.services.accounting import intake
from scnet_hub.services.accounting.charging import PriceSource
from scnet_hub.units import Amount, credits
from tests.builders.copies import session_copy

ZONE = "Asia/Shanghai"
START = datetime(2026, 11, 23, 1, tzinfo=UTC)
PAGE = """
id = "alpha"
name = "Alpha"
transport = { kind = "local" }
session = { python = "/usr/bin/python3", directory = "/s" }
[[partition]]
name = "cpu"
cores = 64
tariff = { core_hour = 1.2, minimum = 0.01 }
[[partition.tariff_from]]
valid_from = 2026-11-23T10:00:00+08:00
core_hour = 2.4
[[partition]]
name = "gpu"
cores = 64
gpus = 4
gpu_model = "a100"
tariff = { core_hour = 1, gib_hour = 0.5 }
[[maintenance]]
start = 2026-11-25T00:00:00+08:00
end = 2026-11-25T01:00:00+08:00
reason = "the cooling is repaired"
"""


@pytest.fixture
def known() -> Iterator[CentreState]:
    yield CentreState(parse_centre(PAGE, source="alpha"), 0)


def copy(**given: Any) -> Copy:
    return session_copy(**{"partition": "cpu", "centre": "alpha"} | given).copy


def run(start: datetime = START, seconds: float = 3600, **given: Any) -> UsageRecord:
    took = timedelta(seconds=seconds)
    usual: dict[str, Any] = {
        "job_id": "7", "name": "scnet-s", "state": JobState.COMPLETED, "ending": Ending.COMPLETED, "cores": 4,
        "submitted_at": start, "started_at": start, "ended_at": start + took, "elapsed": took,
    }  # fmt: skip
    return UsageRecord(**(usual | given))


def price(known: CentreState, *told: UsageRecord, **given: Any) -> Bill:
    """By the page as it is, and by its maintenance as outages."""
    pages = PriceSource(centres={"alpha": known}, federation=parse_federation('centres = ["alpha.toml"]', source="f"))
    outages = [Outage(centre="alpha", start=one.start, end=one.end, words=one.reason) for one in known.spec.maintenance]
    return bills.price(
        [intake.read("alpha", one, START + timedelta(days=30))[0] for one in told], pages.terms(copy(**given)), outages
    )


def test_a_run_at_one_price_is_one_part_with_its_formula(known: CentreState) -> None:
    priced = price(known, run(seconds=750))
    assert [(part.at, part.cost) for part in priced.parts] == [(START, credits(1))]
    assert priced.words == "(4 cores x 1.2) credits/h x 750 s = 1 credits (prices until 2026-11-23 10:00+08:00)"


def test_a_run_over_a_change_of_price_is_cut_there(known: CentreState) -> None:
    priced = price(known, run(seconds=7200))
    assert [(part.at, part.cost) for part in priced.parts] == [
        (START, credits("4.8")),
        (START + timedelta(hours=1), credits("9.6")),
    ]
    assert priced.words.endswith("; together 14.4 credits")


def test_a_run_over_the_end_of_a_month_counts_in_both(known: CentreState) -> None:
    start = datetime(2026, 11, 30, 15, tzinfo=UTC)
    parts = price(known, run(start, 7200)).parts
    assert [(part.at, part.cost) for part in parts] == [
        (start, credits("9.6")),
        (start + timedelta(hours=1), credits("9.6")),
    ]


def test_a_session_costs_at_least_its_minimum_once(known: CentreState) -> None:
    priced = price(known, run(seconds=1))
    assert priced.total == credits("0.01") and "minimum of a session 0.01 credits" in priced.words
    assert not price(known, run(started_at=None, ended_at=None, elapsed=timedelta(), ending=Ending.CANCELLED)).parts


def test_each_run_of_a_job_that_began_again_counts_but_for_those_that_the_centre_took_away(known: CentreState) -> None:
    failed = run(seconds=600, ending=Ending.NODE_FAILURE, state=JobState.FAILED, state_raw="NODE_FAIL")
    again = run(START + timedelta(minutes=20), 750, restart=1)
    priced = price(known, failed, again)
    assert priced.total == credits(1) and "Not charged: a node of the centre failed (NODE_FAIL)" in priced.words


def test_what_lies_in_a_declared_outage_is_not_charged(known: CentreState) -> None:
    start = datetime(2026, 11, 24, 15, 30, tzinfo=UTC)
    priced = price(known, run(start, 7200))
    assert [(part.at, part.cost) for part in priced.parts] == [
        (start, credits("4.8")),
        (start + timedelta(hours=1.5), credits("4.8")),
    ]
    assert "the cooling is repaired" in priced.words


def test_memory_counts_where_it_has_a_price(known: CentreState) -> None:
    assert price(known, run(cores=2, memory=3 * 2**30), partition="gpu").total == credits("3.5")


def test_what_has_no_price_is_not_free_by_accident(known: CentreState) -> None:
    with pytest.raises(NoPrice, match="no price for gpu-second"):
        price(known, run(gpus=1), partition="gpu")
    with pytest.raises(NoPrice, match="no longer has the partition gone"):
        price(known, run(), partition="gone")


def test_what_its_centre_lost_is_not_charged(known: CentreState) -> None:
    assert price(known, run(state=JobState.LOST, ending=None)).total == Amount(0)
