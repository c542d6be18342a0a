"""Tests the commands for usage and the rate of spending."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .federation import Broker, balance, run, usage

Json = dict[str, Any]
FORMULA = "(2 cores x 1.2) credits/h x 3600 s = 2.4 credits"
CHARGE = {
    "at": "2026-11-19T09:00:00.000Z", "recorded_at": "2026-11-19T10:00:00.000Z", "kind": "charge", "amount": 2.4,
    "formula": FORMULA, "key": "settle:s-1", "reverses": "",
}  # fmt: skip
SESSION = {
    "session": "s-1", "name": "train", "kind": "batch", "person": "ada", "project": "sea", "centre": "alpha",
    "centre_name": "Alpha", "started_at": "2026-11-19T09:00:00.000Z", "ended_at": None, "live": False, "charged": 2.4,
    "in_flight": 0.0, "charges": [CHARGE],
}  # fmt: skip


def test_usage_shows_the_days_on_which_something_was_used_and_the_sum() -> None:
    said = run("usage").stdout
    assert "2026-11-20" in said and "2026-11-19" not in said
    assert (
        "Usage of ada from 2026-11-01 to 2026-11-20, days of Asia/Shanghai: 6.40 credits charged, 0.50 in flight"
        in said
    )


def test_a_session_is_shown_with_how_its_charges_were_made() -> None:
    back = CHARGE | {"kind": "reverse", "amount": -2.4, "formula": "a node failed"}
    broker = Broker(GET_usage=usage("session", SESSION | {"charges": [CHARGE, back]}))
    said = run("usage", "--by", "session", broker=broker).stdout
    assert FORMULA in said and "taken back: a node failed" in said and "\x1b" not in said


def test_what_is_asked_for_reaches_the_broker() -> None:
    broker = Broker()
    run("usage", "--project", "sea", "--by", "person", "--since", "2026-11-01", broker=broker)
    assert broker.asked == [("GET usage", {"project": "sea", "by": "person", "since": "2026-11-01"})]


@pytest.mark.parametrize("by", ["day", "centre", "session", "person"])
def test_usage_of_nothing_is_no_table(by: str) -> None:
    said = run("usage", "--by", by, broker=Broker(GET_usage=usage(by))).stdout
    assert said.count("\n") == 1 and "0.00 credits charged" in said


def test_usage_is_one_document() -> None:
    assert json.loads(run("usage", "--json").stdout)["by"] == "day"


def test_a_balance_says_how_fast_it_goes_how_long_it_lasts_and_how_old_it_is() -> None:
    said = run("balances").stdout
    assert (
        "12.50 credits a day over the last week; credits run out on 2027-02-07 at this rate. Now 4.00 an hour, which "
        "lasts until 30 Nov 09:00" in said
    )
    assert "Newest charge: 1 h ago; 1 ended without a usage record yet; in flight as of 3 s ago." in said
    calm = balance(
        burn_rate=0,
        per_hour=0,
        runs_out_at=None,
        waiting=0,
        as_of={"settled": None, "in_flight": "2026-11-20T09:00:00.000Z"},
    )
    said = run("balances", broker=Broker(GET_balances={"as_of": "2026-11-20T09:00:00.000Z", "balances": [calm]})).stdout
    assert "sea: no credits were spent in the last week. Nothing has been charged yet; in flight as of now." in said
