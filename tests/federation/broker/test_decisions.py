"""Tests decisions by REST: a person sees their own, an operator all, and other people's appear not to exist."""

from __future__ import annotations

import httpx
import pytest

from scnet_hub.errors import Refused
from tests.federation.world import World

from .door import by


async def test_a_decision_is_its_persons_and_the_operators(world: World, door: httpx.AsyncClient) -> None:
    row = await world.submit()
    mine = await door.get(f"decisions/{row.session.id}", headers=by("ada"))
    assert (
        mine.status_code == 200
        and mine.json()["session"] == row.session.id
        and mine.json()["decisions"][0]["reason"] == row.session.why
    )
    assert (await door.get(f"decisions/{row.session.id}", headers=by("olga"))).status_code == 200
    other, unknown = [await door.get(f"decisions/{wanted}", headers=by("eve")) for wanted in (row.session.id, "nobody")]
    assert (
        (other.status_code, other.json()["code"])
        == (unknown.status_code, unknown.json()["code"])
        == (404, "unknown-decision")
    )
    assert "token" not in mine.text and "sleep" not in mine.text  # nothing of what runs


async def test_a_replay_is_guarded_the_same_and_names_the_policies(world: World, door: httpx.AsyncClient) -> None:
    row = await world.submit()
    again = await door.get(f"decisions/{row.session.id}/replay", headers=by("ada"), params={"policy": "cheapest"})
    assert (
        again.status_code == 200 and again.json()["logged"]["policy"] == "soonest" and again.json()["placement"]["best"]
    )
    assert (await door.get(f"decisions/{row.session.id}/replay", headers=by("eve"))).status_code == 404
    wrong = await door.get(f"decisions/{row.session.id}/replay", headers=by("ada"), params={"policy": "dice"})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "bad-option") and "soonest" in wrong.json()["hint"]


async def test_the_report_is_for_operators(world: World, door: httpx.AsyncClient) -> None:
    empty = await door.get("decisions", headers=by("olga"))
    assert empty.status_code == 200 and empty.json()["decisions"] == []
    await world.submit()
    with pytest.raises(Refused):
        await world.submit(cores=64, name="y")
    report = (await door.get("decisions", headers=by("olga"), params={"days": 7})).json()
    assert (report["all"]["count"], len(report["decisions"]), report["refused"][0]["code"]) == (1, 2, "no-placement")
    assert (await door.get("decisions", headers=by("ada"))).status_code == 403
    for days in ("0", "-1", "nan", "x", "1e9"):
        assert (await door.get("decisions", headers=by("olga"), params={"days": days})).status_code == 400


async def test_a_refused_start_says_under_which_id_it_is_explained(world: World, door: httpx.AsyncClient) -> None:
    asked = {"kind": "batch", "cores": 64, "argv": ["true"], "env": {"SECRET": "s3cret"}}
    refused = await door.post("sessions", headers=by("ada"), json=asked)
    decision = refused.json()["details"]["decision"]
    explained = await door.get(f"decisions/{decision}", headers=by("ada"))
    told = explained.json()
    assert (
        refused.status_code == 409 and explained.status_code == 200 and told["words"][2] == "The request was refused."
    )
    assert told["decisions"][0]["refused"]["why"] == refused.json()["title"] and "needs 64 cores" in told["words"][3]
    assert "s3cret" not in explained.text
