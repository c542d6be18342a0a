"""Tests projects and allocations by REST: who may request, answer and see them; and the audit."""

from __future__ import annotations

from typing import Any

import httpx

from tests.federation.world import World

from .door import by


async def test_a_request_goes_its_way_by_rest(world: World, door: httpx.AsyncClient) -> None:
    body = {"project": "p", "amount": 12.5, "words": "tides", "ends_at": "2027-06-01"}
    asked = await door.post("allocations", headers=by("ada"), json=body)
    assert asked.status_code == 201 and (asked.json()["state"], asked.json()["amount"]) == ("requested", 12.5)
    place = f"allocations/{asked.json()['id']}"
    assert [one["id"] for one in (await door.get("allocations", headers=by("ada"))).json()["allocations"]] == [
        asked.json()["id"]
    ]
    assert (await door.get("allocations", headers=by("eve"))).json()["allocations"] == []
    assert (await door.post(f"{place}/approve", headers=by("ada"), json={})).status_code == 403
    assert (await door.post(f"{place}/withdraw", headers=by("eve"))).status_code == 404
    given = await door.post(f"{place}/approve", headers=by("olga"), json={"amount": 10, "words": "less"})
    assert given.status_code == 200 and (given.json()["state"], given.json()["amount"], given.json()["decided_by"]) == (
        "active",
        10,
        "olga",
    )
    again = await door.post(f"{place}/decline", headers=by("olga"), json={"words": "no"})
    assert (again.status_code, again.json()["code"]) == (422, "already-decided")
    shown = (await door.get("projects/p", headers=by("ada"))).json()
    assert [lot["granted"] for lot in shown["lots"] if lot["name"] == asked.json()["id"]] == [10]
    assert "ada" in [one["person"] for one in shown["members"]] and shown["allocations"][0]["answer"] == "less"
    assert (await door.get("projects/p", headers=by("eve"))).status_code == 404


WRONG: list[dict[str, Any]] = [
    {"amount": 0}, {"amount": -1}, {"amount": True}, {"amount": "5"}, {"amount": 1e12}, {"words": "\u001b[31m"},
    {"words": 5}, {"ends_at": "soon"}, {"centres": "a"}, {"centres": ["; rm"]}, {"more": 1}, {"renews": "x\n"},
    {"project": "p;"},
]  # fmt: skip


async def test_what_can_not_be_asked_for_is_said(world: World, door: httpx.AsyncClient) -> None:
    for changes in WRONG:
        answer = await door.post(
            "allocations", headers=by("ada"), json={"project": "p", "amount": 1, "words": "x", **changes}
        )
        assert (answer.status_code, answer.json()["code"]) == (400, "bad-option"), (changes, answer.text)


async def test_the_audit_is_for_operators(world: World, door: httpx.AsyncClient) -> None:
    await world.submit()
    assert (await door.get("ledger/verify", headers=by("ada"))).status_code == 403
    found = (await door.get("ledger/verify", headers=by("olga"))).json()
    assert found["ok"] and found["sealed"] == found["entries"] >= 2 and len(found["head"]) == 64
