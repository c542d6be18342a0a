"""Lists by REST, a page at a time."""

from __future__ import annotations

import httpx

from tests.world import World

from .door import by


async def test_sessions_come_in_pages_and_ended_ones_behind_the_last(world: World, door: httpx.AsyncClient) -> None:
    rows = []
    for number in range(3):
        rows.append(await world.submit(name=f"x{number}"))
        await world.passes(1)
    first = (await door.get("sessions?limit=2&all=1", headers=by("ada"))).json()
    assert [one["id"] for one in first["sessions"]] == [row.id for row in rows[:2]] and first["next"] == rows[1].id
    await world.federation.stopping.cancel(await world.federation.lookup.get(rows[0].id))
    await world.reaches(rows[0].id, "ended", "charged")
    second = (await door.get(f"sessions?limit=2&all=1&after={first['next']}", headers=by("ada"))).json()
    assert [one["id"] for one in second["sessions"]] == [rows[2].id, rows[0].id] and second["next"] is None
    assert (await door.get("sessions?kind=lab", headers=by("ada"))).json()["sessions"] == []
    brief = (await door.get("sessions?brief=1&limit=2000", headers=by("h" * 64))).json()["sessions"]
    assert brief[0]["token"] == "t0ken" and "events" not in brief[0] and brief[0]["warnings"] == []
    for wrong in ("limit=0", "limit=201", "brief=1&limit=2001", "after=nothing"):
        answer = await door.get(f"sessions?{wrong}", headers=by("ada"))
        assert (answer.status_code, answer.json()["code"]) == (400, "bad-option"), wrong


async def test_anothers_session_is_no_place_where_a_page_begins(world: World, door: httpx.AsyncClient) -> None:
    row = await world.submit()
    for brief in ("0", "1"):
        asked = [
            await door.get("sessions", params={"after": after, "brief": brief}, headers=by(who))
            for who, after in (("eve", row.id), ("eve", "nosuchsession"), ("ada", row.id), ("olga", row.id))
        ]
        assert [one.status_code for one in asked] == [400, 400, 200, 200]
        assert asked[0].json()["title"].replace(row.id, "X") == asked[1].json()["title"].replace("nosuchsession", "X")


async def test_entries_and_usage_come_in_pages(world: World, door: httpx.AsyncClient) -> None:
    for number in range(3):
        await world.submit(name=f"x{number}")
    seen, after = list[int](), 0
    while after is not None:
        page = (await door.get(f"entries?project=p&limit=2&after={after}", headers=by("ada"))).json()
        seen += [one["id"] for one in page["entries"]]
        after = page["next"]
    whole = (await door.get("entries?project=p", headers=by("ada"))).json()
    assert seen == [one["id"] for one in whole["entries"]] == sorted(seen, reverse=True) and len(seen) == 4
    days = (await door.get("usage?by=day&limit=1", headers=by("ada"))).json()
    assert len(days["rows"]) == 1 and days["more"] == (days["next"] or 0) * days["more"]
