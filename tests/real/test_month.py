"""A month over four real centres, end to end: work is done and charged, the month passes, its days' accounting comes
in, and it is closed.

The month passes for a broker of the test's own, whose clock is ahead, over a copy of the running one's books; the
centres that it asks are the real ones.
"""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from scnet_hub.adapters.db.database import Database
from scnet_hub.adapters.transport.transport import Means
from scnet_hub.broker.page_watch import read_federation
from scnet_hub.domain.months import days, following, period_of
from scnet_hub.domain.standard.centre import parse_centre
from scnet_hub.errors import Refused
from scnet_hub.services.accounting import books
from scnet_hub.services.federation import Federation, centres_of
from scnet_hub.services.settlement.answers import Reader
from tests.real import testbed as tb
from tests.system.demo.conftest import Running, wait_for

pytestmark = pytest.mark.slow
OPERATOR = Reader(person="root", operator=True)


@asynccontextmanager
async def a_month_later(hub: Running, folder: Path, now: datetime) -> AsyncIterator[Federation]:
    """A broker over a copy of the books, that watches nothing; its clock stands at `now`."""
    with (
        closing(sqlite3.connect(f"file:{hub.home / 'broker.sqlite'}?mode=ro", uri=True)) as there,
        closing(sqlite3.connect(folder / "books.sqlite")) as here,
    ):
        there.backup(here)
    spec, texts = read_federation(hub.home / "federation.toml")
    pages = [parse_centre(text, source=str(hub.home / name)) for name, text in texts.items()]
    db = Database(f"sqlite:///{folder / 'books.sqlite'}")
    db.open()
    centres = centres_of(pages, Means(folder=hub.home))
    federation = Federation(spec, centres, db, call_home_url="http://127.0.0.1:9/{}", clock=lambda: now)
    yield federation
    await federation.stop()
    db.close()


@pytest.mark.usefixtures("nothing_left")
async def test_a_month_closes_from_the_work_of_four_centres_to_who_owes_whom(
    hub: Running, testbed: tb.Testbed, tmp_path: Path
) -> None:
    month = period_of(datetime.now(UTC))
    with hub.as_hub("ada") as door:
        body = {"kind": "batch", "argv": ["sleep", "2"], "cores": 1, "walltime": "10m"}
        ours = {
            centre: door.post("sessions", json={**body, "name": f"m-{centre}", "centre": centre}).json()["id"]
            for centre in "abcd"
        }
    every = [
        wait_for(lambda one=one: (done := hub.operator.session(one))["state"] == "charged" and done, 150)
        for one in ours.values()
    ]
    assert {one["centre"] for one in every} == set("abcd") and all(one["charged"] > 0 for one in every)

    async with a_month_later(hub, tmp_path, month.end + timedelta(hours=2)) as later:
        with pytest.raises(Refused) as refused:
            await later.settling.close(month.name, "root", {})
        reasons = " ".join(refused.value.details["reasons"])
        assert all(f"{centre} is not complete" in reasons for centre in "abcd"), reasons
        today = datetime.now(ZoneInfo(month.zone)).date()
        ahead = [day for day in days(month) if day >= today - timedelta(days=1)]
        for centre in "abcd":
            for day in ahead:
                assert (await later.accounting_pull.pull(centre, day)).missing == (), f"{centre} on {day}"
        entries = await later.db.read(
            lambda tx: {row[0] for row in tx.exec_driver_sql("SELECT key FROM scnet_entries WHERE kind = 'charge'")}
        )
        preview = await later.settling.preview(month.name)
        closed = await later.settling.close(month.name, "root", {})
        statements = {one["member"]: one for one in closed["statements"]}
        assert [one["net"] for one in preview["statements"]] == [one["net"] for one in closed["statements"]]
        for one in every:
            assert statements[one["centre"]]["columns"]["earned"] >= one["charged"]
        assert sum(one["net"] for one in closed["statements"]) == pytest.approx(0, abs=1e-9)
        assert sum(one["amount"] for one in closed["netting"]["positions"]) == pytest.approx(0, abs=1e-9)

        name = (month.name, "GRANT", "a")
        lines = (await later.settling.entries(name, OPERATOR))["entries"]
        assert {one["key"] for one in lines} <= entries and f"settle:{ours['a']}" in " ".join(
            one["key"] for one in lines
        )
        await later.settling.bills(month.name, "GRANT", "", OPERATOR, tmp_path / "bills.csv")
        with (tmp_path / "bills.csv").open(newline="") as bills:
            rows = list(csv.DictReader(bills))
        assert set(ours.values()) <= {row["ResourceId"] for row in rows}
        await later.settling.usage(month.name, "", tmp_path / "usage.jsonl")
        told = [json.loads(line)["data"] for line in (tmp_path / "usage.jsonl").read_text().splitlines()]
        assert len(told) >= len(ours)

        # the member says that its number is wrong; what comes of it is in the next month
        disputed = await later.settling.answer(name, "dispute", "our node failed at noon", OPERATOR)
        assert disputed["state"] == "disputed" and disputed["net"] == statements["a"]["net"]
        back = next(key for key in entries if key.startswith(f"settle:{ours['a']}"))
        assert await later.db.run(books.reverse, back, later.clock(), "a node failed", actor="root")
        assert (await later.settling.statement(name, OPERATOR))["net"] == statements["a"]["net"]
        after = {one["member"]: one for one in (await later.settling.preview(following(month).name))["statements"]}
        mine = next(one for one in every if one["centre"] == "a")
        assert after["a"]["columns"]["clawback"] == pytest.approx(-mine["charged"])
        assert sum(one["net"] for one in after.values()) == pytest.approx(0, abs=1e-9)
        assert (await later.bookkeeping.verify()).ok
