"""Usage and the pace of spending by REST."""

from __future__ import annotations

import httpx

from scnet_hub.adapters.db.database import Tx
from scnet_hub.domain.standard.federation import parse_federation
from scnet_hub.services.accounting import books
from scnet_hub.services.projects import projects
from scnet_hub.units import credits
from tests.federation.world import World

from .door import by

LED = """
centres = ["north.toml"]
[[project]]
id = "p"
pi = "lee"
members = ["ada", "mary"]
grants = { first = 100 }
"""


async def test_usage_and_the_pace_of_spending_by_rest(world: World, door: httpx.AsyncClient) -> None:
    row = await world.submit()

    def settle(tx: Tx) -> None:
        books.charge(
            tx,
            "p",
            row.session.id,
            row.copy.centre,
            credits(0.5),
            world.federation.clock(),
            "(1 core x 0.5) credits/h x 3600 s = 0.5 credits",
        )

    await world.federation.db.run(settle)
    await world.passes(0.001)  # less than a millionth of a credit
    found = (await door.get("usage?by=session", headers=by("ada"))).json()
    assert (found["charged"], found["person"], found["zone"]) == (0.5, "ada", "Asia/Shanghai")
    assert found["rows"][0]["session"] == row.session.id and found["rows"][0]["charges"][0]["formula"].endswith(
        "= 0.5 credits"
    )
    mine = (await door.get("balances", headers=by("ada"))).json()["balances"][0]
    assert mine["burn_rate"] is None and mine["runs_out_at"] is None and mine["as_of"]["settled"], (
        "an hour's use is no rate yet"
    )
    project = (await door.get("projects/p", headers=by("ada"))).json()
    assert project["burning"]["past"][-1]["left"] == 99.5 and project["burning"]["ahead"] == []
    assert (await door.get("usage?project=p", headers=by("eve"))).status_code == 404
    assert (await door.get("usage?person=ADA", headers=by("olga"))).json()["charged"] == 0.5
    assert (await door.get("usage?by=person", headers=by("olga"))).json()["rows"][0]["person"] == "ada"
    for wrong in ("by=moon", "since=soon", "since=2020-01-01", "since=0001-01-01", "until=2020-01-01"):
        answer = await door.get(f"usage?{wrong}", headers=by("ada"))
        assert (answer.status_code, answer.json()["code"]) == (400, "bad-option"), (wrong, answer.text)


async def test_a_member_sees_their_own_rows_and_the_projects_sums(world: World, door: httpx.AsyncClient) -> None:
    """One rule for entries, usage and projects: what each spends is for who leads the project, and for operators."""
    await world.federation.db.run(projects.apply, parse_federation(LED, source="led").project, world.federation.clock())
    mine, theirs = await world.submit(), await world.submit(person="mary")

    def settle(tx: Tx) -> None:
        for row, amount in ((mine, 0.5), (theirs, 0.25)):
            books.charge(
                tx,
                "p",
                row.session.id,
                row.copy.centre,
                credits(amount),
                world.federation.clock(),
                f"{row.session.person}'s formula",
            )

    await world.federation.db.run(settle)
    own = (await door.get("entries?project=p", headers=by("ada"))).json()["entries"]
    assert (
        {one["session"] for one in own} == {"", mine.session.id}
        and "mary" not in str(own)
        and theirs.session.id not in str(own)
    )
    project = (await door.get("projects/p", headers=by("ada"))).json()
    spent = {one["person"]: one["spent"] for one in project["members"]}
    assert spent["ada"] is not None and spent["mary"] is None and not project["sees_all"]
    assert project["settled"] == 0.75  # the sum is everybody's
    for wanted in ("by=person&project=p", "by=charge&project=p", "by=session&project=p"):
        rows = (await door.get(f"usage?{wanted}", headers=by("ada"))).json()
        assert (rows["person"], rows["charged"]) == ("ada", 0.5) and "mary" not in str(rows)
    refused = await door.get("usage?project=p&person=mary", headers=by("ada"))
    assert (refused.status_code, refused.json()["code"]) == (403, "not-the-manager")
    for person in ("lee", "olga"):  # its manager, an operator
        all_of_it = (await door.get("entries?project=p", headers=by(person))).json()["entries"]
        assert {mine.session.id, theirs.session.id} <= {one["session"] for one in all_of_it}
        assert (await door.get("usage?project=p&by=person", headers=by(person))).json()["charged"] == 0.75
    assert (await door.get("entries?project=p", headers=by("eve"))).status_code == 404
