"""Attacks by a member: a job whose log is a FIFO. Others' requests are answered all the same."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx

from scnet_hub import starts
from tests.world import World

from .door import by


async def test_a_log_that_is_a_fifo_is_refused_in_words_and_stops_no_other_request(world: World, door: httpx.AsyncClient) -> None:
    for name in world.daemons:
        world.programs[name] = world.program("swap", "rm -f log; mkfifo log; sleep 300")
    await world.kill()
    await world.restart()
    door._transport.app.state.federation = world.federation  # type: ignore[attr-defined]
    row = await world.submit()
    spec = world.federation.centres[row.centre].spec
    log = Path(starts.path(spec, row, "log"))
    await world.until(log.is_fifo)

    async with asyncio.timeout(30):
        answers = await asyncio.gather(*(door.get(f"sessions/{row.id}/log", headers=by("ada")) for _ in range(20)))
        assert {answer.status_code for answer in answers} == {409}
        assert answers[0].json()["code"] == "wrong-file" and "it is a FIFO" in answers[0].json()["title"]
        await asyncio.to_thread(int)  # asyncio's own threads are free
        assert (await door.get("sessions", headers=by("ada"))).status_code == 200
        health = await door.get("health")
        assert health.status_code == 200 and health.json()["state"] == "ok", health.text
        await world.federation.cancel(await world.federation.get(row.id))
        ended = await world.reaches(row.id, "ended", "charged")
    assert not ended.live
