"""Tests that a session ends with the one that it belongs to, as the jobs of a Dask cluster with its notebook."""

from __future__ import annotations

import pytest

from scnet_hub.errors import BadOption
from tests.federation.world import World


async def test_what_is_to_end_with_a_session_is_stopped_when_that_ends(world: World) -> None:
    lab = await world.submit(kind="lab")
    worker = await world.submit(kind="dask", name="d-0", ends_with=lab.session.id)
    queued = await world.submit(kind="dask", name="d-1", cores=4, ends_with=lab.session.id)
    other = await world.submit(kind="dask", name="d-2")
    await world.reaches(worker.session.id, "starting")
    await world.federation.stopping.cancel(await world.federation.lookup.get(lab.session.id))
    for one in (worker, queued):
        ended = await world.reaches(one.session.id, "charged")
        assert ended.session.end_reason.startswith(f"Stopped: it was to end with session {lab.session.id}")
    assert (await world.federation.lookup.get(other.session.id)).session.live
    balance = (await world.federation.reports.balances("ada"))[0][0]
    await world.federation.stopping.cancel(other)
    await world.reaches(other.session.id, "charged")
    assert (await world.federation.reports.balances("ada"))[0][0]["held"] == 0 < balance["held"]


async def test_it_must_be_a_live_session_of_the_same_person(world: World) -> None:
    lab = await world.submit(kind="lab")
    with pytest.raises(BadOption, match="you have no live session"):
        await world.submit(person="bob", kind="dask", name="d", ends_with=lab.session.id)
    with pytest.raises(BadOption, match="you have no live session 'nonesuch'"):
        await world.submit(kind="dask", name="d", ends_with="nonesuch")
    await world.federation.stopping.cancel(lab)
    await world.reaches(lab.session.id, "charged")
    with pytest.raises(BadOption, match="you have no live session"):
        await world.submit(kind="dask", name="d", ends_with=lab.session.id)
