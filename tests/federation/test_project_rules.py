"""Tests a project's rules about where its sessions run, and that a person returns to the centre of their files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from scnet_hub.errors import NoPlacement
from tests.federation.world import World

MORE = """
[[project]]
id = "course"
members = ["ada"]
grants = { first = 100 }
centres = ["south"]

[[project]]
id = "thrift"
members = ["ada"]
grants = { first = 100 }
max_price = 0.5
"""


@pytest.fixture
async def world(short_path: Path, virtual_time: None) -> AsyncIterator[World]:
    world = World(short_path, more=MORE)
    await world.start()
    yield world
    await world.stop()


async def test_a_project_may_be_kept_to_some_centres(world: World) -> None:
    row = await world.submit(project="course")
    assert row.copy.centre == "south"
    with pytest.raises(NoPlacement, match="project course may use south only"):
        await world.submit(project="course", name="y", centre="north")


async def test_a_project_may_have_a_ceiling_on_the_price(world: World) -> None:
    with pytest.raises(NoPlacement, match=r"costs 1.00 credits an hour; the limit is 0.50 credits"):
        await world.submit(project="thrift")


async def test_a_persons_next_lab_goes_to_where_the_last_one_was(world: World) -> None:
    first = await world.submit(kind="lab", name="", centre="south")
    await world.listens(await world.reaches(first.session.id, "submitted", "queued", "starting"))
    await world.federation.stopping.cancel(await world.reaches(first.session.id, "ready"))
    await world.reaches(first.session.id, "charged")
    again = await world.submit(kind="lab", name="")
    assert again.copy.centre == "south" and "your files are at South" in again.session.placement["reason"]
    assert (await world.submit(name="z")).copy.centre == "north"  # a batch job brings its files along
