"""Tests attacks by a member: a job whose log is a FIFO, lists by the hundred. Other callers' requests are still
answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from scnet_hub.broker.app import create_app
from scnet_hub.broker.auth import Gate
from scnet_hub.domain.addresses import PREFIX
from scnet_hub.domain.sessions import start_file
from tests.builders.centre import Program, stays
from tests.federation.world import RealWorld, World

from .door import by, vouch
from .test_limits import request, serving

HUB = "h" * 64


@pytest.fixture
async def world(short_path: Path) -> AsyncIterator[World]:
    """On daemons and in real time: for what processes leave behind, and for a real server."""
    world = RealWorld(short_path)
    await world.start()
    yield world
    await world.stop()


async def test_a_log_that_is_a_fifo_is_refused_in_words_and_stops_no_other_request(
    world: World, door: httpx.AsyncClient
) -> None:
    world.runs(Program(stays.work, "rm -f log; mkfifo log; sleep 300"))
    row = await world.submit()
    spec = world.federation.centres[row.copy.centre].spec
    log = Path(start_file.path(spec, row.copy, "log"))
    await world.until(log.is_fifo)

    async with asyncio.timeout(30):
        answers = await asyncio.gather(
            *(door.get(f"sessions/{row.session.id}/log", headers=by("ada")) for _ in range(20))
        )
        assert {answer.status_code for answer in answers} == {409}
        assert answers[0].json()["code"] == "wrong-file" and "it is a FIFO" in answers[0].json()["title"]
        await asyncio.to_thread(int)  # asyncio's own threads are free
        assert (await door.get("sessions", headers=by("ada"))).status_code == 200
        health = await door.get("health")
        assert health.status_code == 200 and health.json()["state"] == "ok", health.text
        await world.federation.stopping.cancel(await world.federation.lookup.get(row.session.id))
        ended = await world.reaches(row.session.id, "ended", "charged")
    assert not ended.session.live


async def test_hundreds_of_pipelined_lists_are_a_few_at_a_time_and_all_others_are_answered(world: World) -> None:
    await world.submit()
    hub = httpx.AsyncClient(transport=httpx.MockTransport(vouch))
    app = create_app(world.federation, Gate("http://hub/hub/api", HUB, http=hub))
    counts = app.state.lanes.counts
    async with serving(app) as port, asyncio.timeout(120):
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}{PREFIX}/", trust_env=False, timeout=60) as http:
            assert (await http.get("me", headers=by("ada"))).is_success  # the door knows her token
            crowd = [await asyncio.open_connection("127.0.0.1", port) for _ in range(40)]
            for _, writer in crowd:
                writer.write(request(f"{PREFIX}/sessions?all=1", "ada") * 20)
            await asyncio.gather(*(each.readuntil(b"\r\n\r\n") for each, _ in crowd))  # all are being answered
            others = [http.get("sessions", headers=by(who)) for who in ("eve", "olga")] + [
                http.get("sessions", headers=by(HUB))
            ]
            assert [answer.status_code for answer in await asyncio.gather(*others)] == [200, 200, 200]
            health = (await http.get("health")).json()
        assert health["requests"]["most"] <= app.state.lanes.bounds.at_work + 3 and health["requests"]["refused"]
        for _, writer in crowd:
            writer.close()
    await world.until(lambda: counts.at_work == counts.in_line == 0)
