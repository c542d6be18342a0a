"""Signals are sent after the commit, once, and losing one costs time only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from scnet_hub.adapters.db.database import Database
from scnet_hub.adapters.db.queries import sessions as session_rows
from scnet_hub.errors import NotStored
from scnet_hub.services.sessions.watcher import UNLAUNCHED
from scnet_hub.services.signals import Signal
from tests.federation.world import World


class Undecided(Database):
    """A database whose transactions can end otherwise than their work: rolled back at the end (`lost`), or rolled back
    and run again."""

    lost = again = False

    async def run(self, work: Any, *args: Any, **kwargs: Any) -> Any:
        def undone(tx: Any) -> Any:
            work(tx, *args, **kwargs)
            raise NotStored("the transaction was rolled back")

        if self.lost or self.again:
            try:
                await super().run(undone)
            except NotStored:
                if self.lost:
                    raise
        return await super().run(work, *args, **kwargs)


@pytest.fixture
async def unsure(short_path: Path, virtual_time: None) -> AsyncIterator[World]:
    world = World(short_path)
    world.opens = Undecided
    await world.start()
    yield world
    await world.stop()


def recorded(world: World) -> list[tuple[str, int, bool]]:
    """What `launch` says from now on, to this list only."""
    found: list[tuple[str, int, bool]] = []
    launch = world.federation.runtime.signals.launch = Signal()
    launch.connect(lambda session_id, number, again: found.append((session_id, number, again)))
    return found


def test_a_signal_reaches_all_that_are_connected_in_their_order() -> None:
    signal: Signal[[int]] = Signal()
    signal(1)
    heard: list[str] = []
    signal.connect(lambda number: heard.append(f"a{number}"))
    signal.connect(lambda number: heard.append(f"b{number}"))
    signal(2)
    assert heard == ["a2", "b2"]


async def test_a_transaction_that_rolls_back_sends_nothing(unsure: World) -> None:
    launched, database = recorded(unsure), unsure.federation.db
    assert isinstance(database, Undecided)
    database.lost = True
    with pytest.raises(NotStored):
        await unsure.submit()
    database.lost = False
    assert launched == [] and await database.query(session_rows.live) == []


async def test_a_transaction_that_runs_again_sends_its_signal_once(unsure: World) -> None:
    launched, database = recorded(unsure), unsure.federation.db
    assert isinstance(database, Undecided)
    database.again = True
    row = await unsure.submit()
    database.again = False
    assert launched == [(row.session.id, 1, False)]


async def test_with_nobody_connected_the_watcher_launches_a_copy_without_a_job(world: World) -> None:
    fed = world.federation
    fed.runtime.signals.launch = Signal()
    row = await world.submit()
    assert row.copy.job_id == ""
    late = fed.clock() - UNLAUNCHED - timedelta(seconds=1)
    await fed.db.run(lambda tx: session_rows.update_copy(tx, row.session.id, 1, asked_at=late))
    await world.reaches(row.session.id, "submitted", "queued", "starting", "running")
    assert world.jobs(row.session.id) == 1
