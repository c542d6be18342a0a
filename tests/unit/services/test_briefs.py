"""Tests sessions in brief: read again only when they changed, and equal to the stored sessions, on both databases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import event

from scnet_hub.adapters.db.database import Database
from scnet_hub.adapters.db.queries import sessions as session_rows
from scnet_hub.services.reporting.reports import SessionPage
from tests.unit.services.test_spending import HOUR, NOW, Hub

Json = dict[str, Any]


async def test_what_did_not_change_is_not_read_again(database: Database) -> None:
    hub, asked = Hub(database), list[str]()
    for number in range(3):
        hub.ran(f"s{number}", "ada", at=NOW - HOUR + timedelta(minutes=number))
    event.listen(
        database.engine,
        "before_cursor_execute",
        lambda c, k, statement, *_: asked.append(statement) if "scnet_" in statement else None,
    )

    async def page(after: str = "") -> tuple[list[Json], str]:
        asked.clear()
        return await hub.reports.page("", SessionPage(limit=2, after=after, brief=True), tokens=False)

    first, begins = await page()
    assert [one["id"] for one in first] == ["s0", "s1"] and begins == "s1" and first[0]["cores"] == 2
    assert [one["id"] for one in (await page("s1"))[0]] == ["s2"]
    assert (await page())[0] == first and len(asked) == 1, "their versions only"
    database.run_here(session_rows.update_copy, "s1", 1, reason="Priority")
    changed, _ = await page()
    assert len(asked) == 2 and [one["reason"] for one in changed] == ["", "Priority"] and changed[0] == first[0]


async def test_money_in_flight_is_what_a_bill_says_over_many_sessions_at_once(database: Database) -> None:
    hub = Hub(database)
    for number in range(40):
        hub.ran(f"s{number}", "ada", at=NOW - HOUR - timedelta(seconds=number))
    found = (await hub.reports.balances("ada"))[0][0]
    assert found["in_flight"] == sum(round(2 * (3600 + number) / 3600 * 1e6 + 0.499999) for number in range(40)) / 1e6
    assert found["per_hour"] == 80 and found["waiting"] == 0
