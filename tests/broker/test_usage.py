"""Usage and the pace of spending by REST."""

from __future__ import annotations

from datetime import datetime

import httpx

from scnet_hub.db import Tx
from scnet_hub.ledger import books
from scnet_hub.units import credits
from tests.world import World

from .door import by


async def test_usage_and_the_pace_of_spending_by_rest(world: World, door: httpx.AsyncClient) -> None:
    row = await world.submit()

    def settle(tx: Tx) -> None:
        books.charge(tx, "p", row.id, row.centre, credits(0.5), world.federation.clock(), "(1 core x 0.5) credits/h x 3600 s = 0.5 credits")

    await world.federation.db.run(settle)
    found = (await door.get("usage?by=session", headers=by("ada"))).json()
    assert (found["charged"], found["person"], found["zone"]) == (0.5, "ada", "Asia/Shanghai")
    assert found["rows"][0]["session"] == row.id and found["rows"][0]["charges"][0]["formula"].endswith("= 0.5 credits")
    mine = (await door.get("balance", headers=by("ada"))).json()["projects"][0]
    assert mine["burn_rate"] >= 0.5 and datetime.fromisoformat(mine["runs_out_at"]) and mine["as_of"]["settled"]
    project = (await door.get("projects/p", headers=by("ada"))).json()
    assert project["burning"]["past"][-1]["left"] == project["burning"]["ahead"][0]["left"] == 99.5
    assert (await door.get("usage?project=p", headers=by("eve"))).status_code == 404
    assert (await door.get("usage?person=ADA", headers=by("olga"))).json()["charged"] == 0.5
    assert (await door.get("usage?by=person", headers=by("olga"))).json()["rows"][0]["person"] == "ada"
    for wrong in ("by=moon", "since=soon", "since=2020-01-01", "since=0001-01-01", "until=2020-01-01"):
        answer = await door.get(f"usage?{wrong}", headers=by("ada"))
        assert (answer.status_code, answer.json()["code"]) == (400, "bad-option"), (wrong, answer.text)
