"""Tests that a start that stalls, dies or is refused continues elsewhere: one winner, one charge, and every further
copy is ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from scnet_hub.adapters.db.queries import entries as entry_rows
from scnet_hub.domain.centres.breaker import Breaker
from scnet_hub.domain.jobs import JobRequest
from scnet_hub.domain.sessions.records import SessionCopy
from scnet_hub.domain.standard.federation import SecondChanceSpec
from scnet_hub.errors import Refused
from scnet_hub.services.sessions import second_chances
from tests.builders.centre import exits
from tests.builders.copies import session_copy
from tests.federation.world import World

QUICK = "[second_chance]\npatience = 1\npinned_patience = 2\nstart_patience = 3\n"
T0 = datetime(2026, 11, 23, 9, tzinfo=UTC)
LAB = JobRequest(person="ada", project="p", kind="lab", name="x")
DIES = exits(3, "no such module")


@pytest.fixture
async def world(short_path: Path, virtual_time: None) -> AsyncIterator[World]:
    world = World(short_path, QUICK)
    await world.start()
    yield world
    await world.stop()


async def stalled(world: World, **options: Any) -> tuple[SessionCopy, SessionCopy]:
    """A Lab that waits at one full centre, and its further copy at the other, where room came up."""
    jobs = {name: await world.fill(name) for name in world.centres}
    row = await world.submit(kind="lab", **options)
    await world.reaches(row.session.id, "queued")
    other = next(name for name in world.centres if name != row.copy.centre)
    await world.free(other, jobs[other])

    async def two() -> list[SessionCopy] | None:
        rows = await world.copies(row.session.id)
        return rows if len(rows) == 2 and rows[1].copy.state == "starting" else None

    first, second = await world.until(two)
    return first, second


async def test_a_lab_that_stalls_starts_where_there_is_room_and_is_charged_once(world: World) -> None:
    first, second = await stalled(world)
    assert (first.copy.centre, second.copy.cause) != (second.copy.centre, "first")
    await world.listens(second)
    ready = await world.federation.lookup.get(first.session.id)
    assert (ready.session.state, ready.copy.centre, ready.copy.number) == ("ready", second.copy.centre, 2)
    log = await world.log(first.session.id)
    assert (
        f"also asked {second.copy.centre.title()}" in log
        and f"Moved from {first.copy.centre} to {second.copy.centre}" in log
    )

    async def gone() -> bool:
        return not (await world.copies(first.session.id))[0].copy.live

    await world.until(gone)
    await world.federation.stopping.cancel(ready)
    charged = await world.reaches(first.session.id, "charged")
    kinds = [
        entry.kind
        for _, entry in await world.federation.db.run(entry_rows.newest, "p")
        if entry.session == first.session.id
    ]
    assert sorted(kinds) in (["charge", "hold"], ["hold", "release"]) and charged.copy.centre == second.copy.centre
    assert set((await world.federation.db.run(entry_rows.trial_balance)).values()) == {0}


async def test_the_copy_that_comes_second_is_told_that_it_is_over(world: World) -> None:
    first, second = await stalled(world)
    await world.listens(first)
    with pytest.raises(Refused, match=r"over|already running"):
        await world.listens(second, 5001)
    row = await world.federation.lookup.get(first.session.id)
    assert (row.copy.number, row.copy.port) == (1, 5000)


async def test_a_lab_that_waits_for_long_waits_in_a_further_queue_too(world: World) -> None:
    for name in world.centres:
        await world.fill(name)
    row = await world.submit(kind="lab")

    async def both() -> list[SessionCopy] | None:
        rows = await world.copies(row.session.id)
        return rows if [one.copy.state for one in rows] == ["queued", "queued"] else None

    first, second = await world.until(both)
    # two patiences
    assert first.copy.centre != second.copy.centre and second.copy.asked_at - first.copy.asked_at >= timedelta(
        seconds=2
    )
    assert "where it should start behind" in await world.log(
        row.session.id
    ) or "where it should start next" in await world.log(row.session.id)


async def test_a_copys_nonce_opens_only_its_own_place(world: World) -> None:
    first, second = await stalled(world)
    assert first.copy.secret != second.copy.secret
    with pytest.raises(Refused, match="can listen"):
        await world.listens(first._replace(copy=replace(first.copy, secret=second.copy.secret)))


async def test_a_stop_reaches_every_copy(world: World) -> None:
    first, _ = await stalled(world)
    await world.federation.stopping.cancel(await world.federation.lookup.get(first.session.id))
    ended = await world.reaches(first.session.id, "charged")
    assert ended.session.end_reason == "Stopped on request."
    assert not any(row.copy.live for row in await world.copies(first.session.id))


async def test_further_copies_survive_a_restart_of_the_broker(world: World) -> None:
    first, second = await stalled(world)
    await world.kill()
    await world.restart()
    await world.listens(second)
    assert (await world.federation.lookup.get(first.session.id)).copy.number == 2
    assert world.jobs(first.session.id) == 1 and world.jobs(f"{first.session.id}-2") == 1


async def test_a_lab_pinned_to_a_centre_stays_there(world: World) -> None:
    job = await world.fill("north")
    row = await world.submit(kind="lab", centre="north")
    await world.reaches(row.session.id, "queued")
    await asyncio.gather(*(world.federation.second_chances.look() for _ in range(3)))
    assert [one.copy.centre for one in await world.copies(row.session.id)] == ["north"]
    await world.free("north", job)


async def test_a_start_that_dies_is_tried_elsewhere_and_ends_with_the_last_lines_of_its_log(world: World) -> None:
    world.runs(DIES)
    row = await world.submit(kind="lab")
    ended = await world.reaches(row.session.id, "charged")
    rows = await world.copies(row.session.id)
    assert [one.copy.cause for one in rows] == ["first", "failed"] and {one.copy.centre for one in rows} == {
        "north",
        "south",
    }
    assert "no such module" in ended.session.end_reason and "moved to" in await world.log(row.session.id)


async def test_a_black_hole_is_left_out_and_the_next_start_goes_elsewhere(world: World) -> None:
    world.runs(DIES, "north")
    job = await world.fill("south")
    for name in ("one", "two", "three"):
        row = await world.submit(kind="lab", name=name)
        await world.until(lambda row=row: _has_failed(world, row.session.id))
        await world.federation.stopping.cancel(await world.federation.lookup.get(row.session.id))
        await world.reaches(row.session.id, "charged")
    await world.free("south", job)
    refusal = world.federation.states.centres["north"].breaker.refusal(world.federation.clock())
    assert "failed to start" in refusal
    decision, _ = await world.federation.placing.place(replace(LAB, name="four"))
    assert [one.offer.centre for one in decision.ranked] == ["south"]
    assert any("failed to start" in one.reason for one in decision.refusals)


async def _has_failed(world: World, session_id: str) -> bool:
    rows = await world.copies(session_id)
    return any(row.copy.centre == "north" and not row.copy.live for row in rows)


async def test_a_centre_that_is_away_at_the_start_is_left_for_another_before_anything_was_sent(world: World) -> None:
    row = await _submit_with_place_away(world)
    moved = await world.reaches(row.session.id, "starting")
    assert moved.copy.centre != row.copy.centre and moved.copy.cause == "unreachable"
    world.faults[row.copy.centre].away = False
    assert world.jobs(row.session.id) == 0 and world.jobs(f"{row.session.id}-2") == 1


async def _submit_with_place_away(world: World) -> SessionCopy:
    """The centre that was chosen can't be reached from now on: no file arrives there."""
    best = (await world.federation.placing.place(LAB))[0].best
    assert best is not None
    world.faults[best.offer.centre].away = True
    row = await world.submit(kind="lab")
    assert row.copy.centre == best.offer.centre
    return row


# ---- decided without a centre


def copy(**given: Any) -> SessionCopy:
    fields: dict[str, Any] = {
        "id": "s", "number": 1, "lead": 1, "live": True, "copy_live": True, "copy_state": "queued", "asked_at": T0,
        "kind": "lab", "request": {"centre": ""}, "centre": "a", "place_in_queue": 0,
    }  # fmt: skip
    return session_copy(**(fields | given))


@pytest.mark.parametrize(
    ("rows", "seconds", "due"),
    [
        ([copy()], 39, False),
        ([copy()], 41, True),
        ([copy(request={"centre": "a"})], 41, False),
        ([copy(request={"centre": "a"})], 601, True),
        ([copy(), copy(number=2)], 79, False),
        ([copy(), copy(number=2)], 81, True),
        ([copy(), copy(number=2), copy(number=3)], 10000, False),
        ([copy(), copy(number=2, copy_live=False)], 41, True),
        ([copy(started_at=T0, copy_state="starting")], 179, False),
        ([copy(started_at=T0, copy_state="starting")], 181, True),
        ([copy(started_at=T0, copy_state="starting", unknown_since=T0)], 41, True),
        ([copy(ready_at=T0)], 10000, False),
        ([copy(cancelled_at=T0)], 10000, False),
        ([copy(live=False)], 10000, False),
        ([copy(copy_live=False)], 10000, False),
    ],
)
def test_who_has_waited_long_enough(rows: list[SessionCopy], seconds: float, due: bool) -> None:
    assert second_chances.waited(rows, SecondChanceSpec(), T0 + timedelta(seconds=seconds)) is due


@pytest.mark.parametrize(
    ("asked", "may"),
    [
        ({}, True),
        ({"first": 10, "stalled": 13}, True),
        ({"first": 10, "stalled": 14}, False),
        ({"first": 100, "failed": 100, "stalled": 89}, True),
        ({"first": 100, "failed": 100, "stalled": 90}, False),
    ],
)
def test_further_copies_have_a_budget(asked: dict[str, int], may: bool) -> None:
    assert second_chances.affordable(asked, SecondChanceSpec(), centres=2) is may


def test_a_quarter_of_the_budget_is_for_labs() -> None:
    spec = SecondChanceSpec()  # ten for two centres
    for further, may in ((7, True), (8, False), (9, False)):
        assert second_chances.affordable({"stalled": further}, spec, centres=2, lab=False) is may
        assert second_chances.affordable({"stalled": further}, spec, centres=2, lab=True)


@pytest.mark.parametrize("kind", ["batch", "dask"])
@pytest.mark.parametrize(
    ("given", "due"),
    [
        ({}, True),
        ({"copy_state": "intent", "job_id": ""}, False),
        ({"copy_state": "submitted"}, True),
        ({"copy_state": "starting", "started_at": T0}, False),
        ({"node": "n1"}, False),
        ({"unknown_since": T0}, False),
        ({"copy_cancelled_at": T0}, False),
    ],
)
def test_a_job_gets_a_further_copy_only_while_it_certainly_waits(kind: str, given: dict[str, Any], due: bool) -> None:
    late = T0 + timedelta(seconds=1000)
    row = copy(**{"kind": kind, "payload": {}, "job_id": "7", **given})
    assert second_chances.waited([row], SecondChanceSpec(), late) is due
    asks = copy(kind=kind, payload={}, job_id="8", number=2)
    assert second_chances.waited([row, asks], SecondChanceSpec(), late) is due


@pytest.mark.parametrize(("kind", "seconds"), [("lab", 40), ("batch", 10), ("dask", 10)])
def test_a_job_is_asked_for_elsewhere_sooner_than_a_lab(kind: str, seconds: int) -> None:
    row = copy(kind=kind, payload={}, job_id="7")
    for more, due in ((-1, False), (0, True)):
        assert second_chances.waited([row], SecondChanceSpec(), T0 + timedelta(seconds=seconds + more)) is due


def test_the_breaker_opens_for_two_people_or_three_in_a_row_and_lets_one_try_at_a_time() -> None:
    breaker = Breaker()
    breaker.failed("ada", "exit code 1", T0)
    breaker.failed("ada", "exit code 1", T0)
    assert breaker.refusal(T0) == ""
    breaker.failed("ben", "exit code 1", T0)
    assert "exit code 1" in breaker.refusal(T0) and breaker.refusal(T0 + timedelta(seconds=61)) == ""
    trial = T0 + timedelta(seconds=61)
    breaker.took(trial)
    assert breaker.refusal(trial)
    breaker.failed("eve", "again", trial)
    assert breaker.refusal(trial + timedelta(seconds=119)) and not breaker.refusal(trial + timedelta(seconds=121))
    breaker.succeeded()
    assert breaker.refusal(trial) == "" and breaker.failures == 0


def test_three_failures_of_one_person_open_it_too() -> None:
    breaker = Breaker()
    for _ in range(3):
        breaker.failed("ada", "exit code 1", T0)
    assert breaker.refusal(T0)
