"""Lists by REST, a page at a time."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import httpx
import pytest

from scnet_hub.adapters.db.database import Tx
from scnet_hub.adapters.db.queries import allocations as allocation_rows
from scnet_hub.adapters.db.queries.allocations import AllocationRow
from scnet_hub.domain.paging import page, sorted_page
from scnet_hub.errors import BadOption
from scnet_hub.units import CREDIT
from tests.federation.world import World

from .door import by


async def test_sessions_come_in_pages_and_ended_ones_behind_the_last(world: World, door: httpx.AsyncClient) -> None:
    rows = []
    for number in range(3):
        rows.append(await world.submit(name=f"x{number}"))
        await world.passes(1)
    first = (await door.get("sessions?limit=2&all=1", headers=by("ada"))).json()
    assert [one["id"] for one in first["sessions"]] == [row.session.id for row in rows[:2]] and first["next"] == rows[
        1
    ].session.id
    await world.federation.stopping.cancel(await world.federation.lookup.get(rows[0].session.id))
    await world.reaches(rows[0].session.id, "ended", "charged")
    second = (await door.get(f"sessions?limit=2&all=1&after={first['next']}", headers=by("ada"))).json()
    assert [one["id"] for one in second["sessions"]] == [rows[2].session.id, rows[0].session.id] and second[
        "next"
    ] is None
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
            for who, after in (
                ("eve", row.session.id),
                ("eve", "nosuchsession"),
                ("ada", row.session.id),
                ("olga", row.session.id),
            )
        ]
        assert [one.status_code for one in asked] == [400, 400, 200, 200]
        assert asked[0].json()["title"].replace(row.session.id, "X") == asked[1].json()["title"].replace(
            "nosuchsession", "X"
        )


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


LISTS = (
    "centres",
    "tariffs",
    "account-links",
    "balances",
    "allocations",
    "periods",
    "statements",
    "orphans",
    "profiles",
)


async def test_lists_come_in_pages_with_a_ceiling(world: World, door: httpx.AsyncClient) -> None:
    """Pages of one row each have the same rows as the whole list."""
    for words in ("a", "b"):
        await world.federation.db.run(asked, words, world.federation.clock())
    for path in LISTS:
        whole = (await door.get(path, headers=by("olga"))).json()
        rows = path.replace("-", "_") if path != "orphans" else "jobs"
        found, after = list[object](), ""
        while after is not None:
            one = (
                await door.get(path, params={"limit": 1, "after": after} if after else {"limit": 1}, headers=by("olga"))
            ).json()
            found, after = found + one[rows], one["next"]
        assert [names(one) for one in found] == [names(one) for one in whole[rows]], path
        assert path not in ("centres", "tariffs", "allocations") or len(found) == 2, path
        for wrong in ("limit=0", "limit=1001", "limit=1&limit=2", "surprise=1"):
            answer = await door.get(f"{path}?{wrong}", headers=by("olga"))
            assert (answer.status_code, answer.json()["code"]) == (400, "bad-option"), (path, wrong)


def names(row: Any) -> list[Any]:
    return [row.get(name) for name in ("id", "name", "centre", "partition", "person", "account", "linked_at")]


def asked(tx: Tx, words: str, now: datetime) -> None:
    row = AllocationRow(
        id=f"id-{words}", project="p", unit=CREDIT, grantor="", micros=1, centres=(), begins_at=now, ends_at=None,
        state="requested", asked_by="ada", asked_at=now, words=words, decided_by="", decided_at=None, answer="",
        renews="",
    )  # fmt: skip
    allocation_rows.insert(tx, row)


def test_a_page_begins_behind_its_cursor() -> None:
    assert page("abcd", str, "", 2) == (["a", "b"], "b")
    assert page("abcd", str, "b", 2) == (["c", "d"], None)
    assert page("", str, "", 2) == ([], None)
    with pytest.raises(BadOption, match="is not in this list"):
        page("abcd", str, "x", 2)
    assert sorted_page("dbca", str, "aa", 2) == (["b", "c"], "c")  # a row that is gone since is no reason to refuse
    assert sorted_page("dbca", str, "c", 2) == (["d"], None)
