"""A database of before the package's files were moved goes on: it is migrated, its books verify, and its sessions are
read and charged.

`before_the_move.sql` was written by that version over two embedded centres: two lots, of which one is an allocation;
five sessions that ended (done, failed, stopped, and a Lab with a second copy) with their charges; November, closed,
with an accepted statement; and since then a Lab that is ready, a job that runs and a job that waits.
"""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from scnet_hub.adapters.db.database import Database
from scnet_hub.adapters.db.keys import Keys
from scnet_hub.adapters.db.tables import metadata
from scnet_hub.broker.app import create_app
from scnet_hub.broker.auth import Gate
from scnet_hub.domain.addresses import PREFIX
from scnet_hub.services.federation import Federation
from tests.federation.broker.contract import Checked
from tests.federation.broker.door import by, vouch
from tests.federation.world import World

DUMP = Path(__file__).with_name("before_the_move.sql")
KEYS = Keys(base64.urlsafe_b64encode(b"a key for a test's old database.").decode())
CHARGED = {"done-north": 834, "done-south": 834, "bad": 556, "stopped": 2223, "": 1112}  # micro-credits, by name
LIVE = {"y6fe97zxet7p": "ready", "3truyhfiu7mf": "starting", "k9rkyv6fb976": "queued"}


@pytest.fixture
async def federation(tmp_path: Path, virtual_time: None) -> AsyncIterator[Federation]:
    """Over the old database; not started."""
    file = tmp_path / "b.sqlite"
    with sqlite3.connect(file) as old:
        old.executescript(DUMP.read_text())
    old.close()
    world = World(tmp_path, database=f"sqlite:///{file}")
    world.opens = lambda url: Database(url, KEYS)  # type: ignore[assignment]
    world.clock.skip(timedelta(days=12))
    made = world.build()
    yield made
    made.db.close()


@pytest.fixture
async def door(federation: Federation) -> AsyncIterator[httpx.AsyncClient]:
    hub = httpx.AsyncClient(transport=httpx.MockTransport(vouch))
    app = create_app(federation, Gate("http://hub/hub/api", "h" * 64, http=hub))
    async with httpx.AsyncClient(
        transport=Checked(app), base_url=f"http://broker{PREFIX}/", headers=by("olga")
    ) as client:
        yield client


async def test_it_is_migrated_to_the_tables_of_today(federation: Federation) -> None:
    with federation.db.engine.connect() as connection:
        ours = {"include_name": lambda name, kind, _: kind != "table" or name in metadata.tables}
        assert not compare_metadata(MigrationContext.configure(connection, opts=ours), metadata)


async def test_its_ledger_verifies(door: httpx.AsyncClient) -> None:
    verdict = (await door.get("ledger/verify")).json()
    assert (verdict["ok"], verdict["problems"], verdict["entries"], verdict["sealed"]) == (True, [], 16, 16)


async def test_its_sessions_charges_and_closed_month_are_read(door: httpx.AsyncClient) -> None:
    found = (await door.get("sessions", params={"all": 1})).json()["sessions"]
    ended = {one["name"]: one["charged"] * 10**6 for one in found if not one["live"]}
    assert ended == pytest.approx(CHARGED)
    assert {one["id"]: one["state"] for one in found if one["live"]} == LIVE
    second = next(one for one in found if one["kind"] == "lab" and not one["live"])
    copies = (await door.get(f"sessions/{second['id']}")).json()["copies"]
    assert [one["centre"] for one in copies] == ["south", "north"]
    by_session = (await door.get("usage", params={"by": "session", "since": "2026-11-01"})).json()
    assert by_session["charged"] * 10**6 == pytest.approx(sum(CHARGED.values()))
    month = (await door.get("periods/2026-11")).json()
    assert month["state"] == "closed" and len(month["statements"]) == 4
    assert (await door.get("statements/2026-11/GRANT/nordic")).json()["state"] == "accepted"
    assert [one["state"] for one in (await door.get("allocations")).json()["allocations"]] == ["requested", "active"]


async def test_its_live_sessions_end_and_its_books_go_on(federation: Federation, door: httpx.AsyncClient) -> None:
    for session in LIVE:
        over = (await door.post(f"sessions/{session}/write-off")).json()
        assert (over["state"], over["live"], over["charged"]) == ("charged", False, 0)
    project = (await door.get("projects/p")).json()
    assert (project["held"], project["granted"]) == (0, 150)
    assert project["available"] * 10**6 == pytest.approx(150 * 10**6 - sum(CHARGED.values()))
    assert (await door.get("ledger/verify")).json()["ok"]
