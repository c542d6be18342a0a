"""Tests that the duration of starts is promised to the next starts, also after a restart of the broker."""

from __future__ import annotations

from scnet_hub.domain.jobs import JobRequest
from scnet_hub.domain.placement.calibration import LEAST
from tests.builders.centre import exits
from tests.federation.world import World


async def test_a_start_is_promised_what_such_starts_took(world: World) -> None:
    world.runs(exits(0))
    request = JobRequest(person="ada", project="p", kind="batch", name="next")
    before, _ = await world.federation.placing.place(request)
    assert before.best and before.best.range is None
    for number in range(LEAST):
        row = await world.submit(name=f"n{number}", centre="north")
        await world.reaches(row.session.id, "charged")
    await world.restart()
    await world.federation.placing.forecasts.learn()
    decision, _ = await world.federation.placing.place(request)
    assert decision.best and decision.best.range and decision.best.range.starts == LEAST
    assert 0 <= decision.best.range.p50 <= decision.best.range.p90 < 30
    assert "nine in ten such starts within" in decision.reason
