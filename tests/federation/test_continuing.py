"""The next session of a Lab is asked for before the walltime ends, takes the name over when it listens, and is charged
for itself."""

from __future__ import annotations

import pytest

from scnet_hub.adapters.db.queries import sessions as session_rows
from scnet_hub.domain.sessions.records import SessionCopy
from scnet_hub.errors import OverQuota, Refused
from tests.federation.world import World


async def ready(world: World, **options: object) -> SessionCopy:
    row = await world.submit(kind="lab", **options)
    await world.listens(await world.reaches(row.session.id, "starting"))
    return await world.federation.lookup.get(row.session.id)


async def test_the_next_session_is_at_the_same_centre_and_takes_the_name_when_it_listens(world: World) -> None:
    row = await ready(world)
    after, new = await world.federation.continuation.next(row.session)
    assert new and (after.copy.centre, after.session.name, after.session.in_line) == (
        row.copy.centre,
        row.session.name,
        True,
    )
    assert (await world.federation.db.run(session_rows.live_one, "ada", "lab", "x")).session.id == row.session.id  # type: ignore[union-attr]
    await world.listens(await world.reaches(after.session.id, "starting"), 5001)
    assert (await world.federation.db.run(session_rows.live_one, "ada", "lab", "x")).session.id == after.session.id  # type: ignore[union-attr]
    told = (await world.federation.reports.sessions([await world.federation.lookup.get(row.session.id)], whole=True))[0]
    assert told["succeeded_by"] == after.session.id and told["successor"]["state"] == "ready" and not told["live"]
    ended = await world.reaches(row.session.id, "charged")
    assert ended.session.end_reason == "Continued in the next session."
    await world.federation.stopping.cancel(await world.federation.lookup.get(after.session.id))
    await world.reaches(after.session.id, "charged")
    assert (await world.federation.reports.balances("ada"))[0][0]["held"] == 0


async def test_asking_twice_continues_once(world: World) -> None:
    row = await ready(world)
    one, _ = await world.federation.continuation.next(row.session)
    same, new = await world.federation.continuation.next(row.session)
    assert one.session.id == same.session.id and not new


async def test_what_it_continues_does_not_count_against_the_quota(world: World) -> None:
    row = await ready(world)
    for number in range(9):
        await world.submit(name=f"n{number}", cores=1)
    with pytest.raises(OverQuota):
        await world.submit(name="one more")
    _, new = await world.federation.continuation.next(row.session)
    assert new


async def test_if_the_first_ends_before_the_next_one_listens_the_name_is_the_next_ones(world: World) -> None:
    row = await ready(world)
    after, _ = await world.federation.continuation.next(row.session)
    world.centres[row.copy.centre].ask("scancel", row.copy.job_id)
    await world.reaches(row.session.id, "charged")
    mine, new = await world.federation.submission.submit(_request(row), {"argv": ["x"], "env": {}})
    assert mine.session.id == after.session.id and not new


def _request(row: SessionCopy) -> object:
    from scnet_hub.domain.sessions import names

    return names.request_of(row.session.request)


async def test_only_a_lab_that_runs_can_be_continued(world: World) -> None:
    batch = await world.submit(name="b")
    with pytest.raises(Refused, match="running"):
        await world.federation.continuation.next(batch.session)
    row = await ready(world)
    after, _ = await world.federation.continuation.next(row.session)
    with pytest.raises(Refused, match="running"):
        await world.federation.continuation.next(after.session)
