"""Tests quotes by REST: what a session would cost where it would be placed now."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from scnet_hub.services.placement import quoting
from tests.builders.copies import session_copy
from tests.federation.world import World
from tests.unit.services.test_charging import START

from .door import by


async def test_a_quote_says_at_least_probably_and_at_most_and_what_is_left(
    world: World, door: httpx.AsyncClient
) -> None:
    answer = await door.post("quotes", headers=by("ada"), json={"cores": 2, "walltime": "1h"})
    found = answer.json()
    assert answer.status_code == 200, found
    placed = (await door.post("placements", headers=by("ada"), json={"cores": 2, "walltime": "1h"})).json()
    assert found["centre"] == placed["best"]["centre"]
    # a micro-credit more where a month may end within it
    assert found["max"] == pytest.approx(placed["best"]["cost"], abs=5e-6)
    assert 0 < found["low"] < found["expected"] < found["max"] and found["after_max"] == round(
        found["available"] - found["max"], 6
    )
    assert found["sentences"][0].startswith("At most") and "no history" in found["why"]["expected"]
    assert (await door.get("sessions", headers=by("ada"))).json()["sessions"] == []


async def test_a_placement_comes_with_the_same_quotes_for_each_centre_if_asked_to(
    world: World, door: httpx.AsyncClient
) -> None:
    wanted = {"cores": 2, "walltime": "1h", "kind": "lab"}
    found = (await door.post("placements?quotes=true", headers=by("ada"), json=wanted)).json()
    alone = (await door.post("quotes", headers=by("ada"), json=wanted)).json()
    assert [one["centre"] for one in found["quotes"]] == ["north", "south"] and not any(
        one["problem"] for one in found["quotes"]
    )
    told = next(one for one in found["quotes"] if one["centre"] == alone["centre"])
    assert {name: told[name] for name in ("low", "expected", "held_first")} == {
        name: alone[name] for name in ("low", "expected", "held_first")
    }
    assert "quotes" not in (await door.post("placements", headers=by("ada"), json=wanted)).json()


async def test_what_fits_nowhere_has_no_quote(world: World, door: httpx.AsyncClient) -> None:
    answer = await door.post("quotes", headers=by("ada"), json={"cores": 5000})
    assert (answer.status_code, answer.json()["code"]) == (409, "no-placement")


def test_what_such_sessions_used_is_a_share_of_what_they_asked_for() -> None:
    asked = {"walltime_s": 3600}
    rows = [
        session_copy(request=asked, started_at=START, ended_at=START + timedelta(minutes=15)),
        session_copy(request=asked, started_at=None, ended_at=START),
        session_copy(request=asked, started_at=START, ended_at=START + timedelta(minutes=61)),
        session_copy(request={}, started_at=START, ended_at=START),
    ]  # fmt: skip
    assert [round(share, 3) for share in quoting.shares(rows)] == [0.25, 1.017]


async def test_an_operator_asks_for_nobody(world: World, door: httpx.AsyncClient) -> None:
    found = (await door.post("quotes", headers=by("olga"), json={"cores": 2, "walltime": "1h"})).json()
    assert found["available"] is None and found["after"] is None and 0 < found["low"] < found["max"]
