"""Tests that the next session of a Lab is requested before the walltime ends, takes the name over when it listens, and
is charged separately."""

from __future__ import annotations

import pytest

from scnet_hub.adapters.db.queries import sessions as stored
from scnet_hub.domain.sessions.records import SessionRow
from scnet_hub.errors import OverQuota, Refused
from tests.world import World


async def ready(world: World, **options: object) -> SessionRow:
    row = await world.submit(kind="lab", **options)
    await world.listens(await world.reaches(row.id, "starting"))
    return await world.federation.lookup.get(row.id)


async def test_the_next_session_is_at_the_same_centre_and_takes_the_name_when_it_listens(world: World) -> None:
    row = await ready(world)
    after, new = await world.federation.continuation.next(row)
    assert new and (after.centre, after.name, after.in_line) == (row.centre, row.name, True)
    assert (await world.federation.db.run(stored.live_one, "ada", "lab", "x")).id == row.id  # type: ignore[union-attr]
    await world.listens(await world.reaches(after.id, "starting"), 5001)
    assert (await world.federation.db.run(stored.live_one, "ada", "lab", "x")).id == after.id  # type: ignore[union-attr]
    told = (await world.federation.reports.sessions([await world.federation.lookup.get(row.id)], whole=True))[0]
    assert told["succeeded_by"] == after.id and told["successor"]["state"] == "ready" and not told["live"]
    ended = await world.reaches(row.id, "charged")
    assert ended.end_reason == "Continued in the next session."
    await world.federation.stopping.cancel(await world.federation.lookup.get(after.id))
    await world.reaches(after.id, "charged")
    assert (await world.federation.reports.balances("ada"))[0][0]["held"] == 0


async def test_asking_twice_continues_once(world: World) -> None:
    row = await ready(world)
    one, _ = await world.federation.continuation.next(row)
    same, new = await world.federation.continuation.next(row)
    assert one.id == same.id and not new


async def test_what_it_continues_does_not_count_against_the_quota(world: World) -> None:
    row = await ready(world)
    for number in range(9):
        await world.submit(name=f"n{number}", cores=1)
    with pytest.raises(OverQuota):
        await world.submit(name="one more")
    _, new = await world.federation.continuation.next(row)
    assert new


async def test_if_the_first_ends_before_the_next_one_listens_the_name_is_the_next_ones(world: World) -> None:
    row = await ready(world)
    after, _ = await world.federation.continuation.next(row)
    world.centres[row.centre].ask("scancel", row.job_id)
    await world.reaches(row.id, "charged")
    mine, new = await world.federation.submission.submit(_request(row), {"argv": ["x"], "env": {}})
    assert mine.id == after.id and not new


def _request(row: SessionRow) -> object:
    from scnet_hub.domain.sessions import names

    return names.request_of(row.request)


async def test_only_a_lab_that_runs_can_be_continued(world: World) -> None:
    batch = await world.submit(name="b")
    with pytest.raises(Refused, match="running"):
        await world.federation.continuation.next(batch)
    row = await ready(world)
    after, _ = await world.federation.continuation.next(row)
    with pytest.raises(Refused, match="running"):
        await world.federation.continuation.next(after)
