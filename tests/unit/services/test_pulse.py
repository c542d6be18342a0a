"""Tests how late the event loop is and how long work waits for the pools, with a test clock."""

import asyncio

from scnet_hub.services.watchdog import KEPT, Watchdog


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_a_pool_without_a_free_thread_is_told_while_it_lasts_and_half_a_minute_longer() -> None:
    clock, free = Clock(), asyncio.Event()
    pulse = Watchdog({"threads": free.wait}, clock)
    pulse.look(clock.now)
    await asyncio.sleep(0)
    assert not pulse.troubles()
    clock.now += 12
    pulse.look(clock.now)
    assert pulse.troubles() == ["Work has waited up to 12 s for the pool threads."]
    free.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert pulse.waiting() == {"threads": 12.0}
    for _ in range(KEPT + 1):
        pulse.look(clock.now)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert not pulse.troubles()


async def test_a_loop_that_was_held_up_is_told() -> None:
    clock = Clock()
    pulse = Watchdog({}, clock)
    pulse.look(clock.now - 3)
    assert pulse.troubles() == ["The broker's event loop was 3.0 s late within the last 30 s."]


async def test_it_measures_by_itself_until_it_is_cancelled() -> None:
    asked = asyncio.Event()

    async def probe() -> None:
        asked.set()
        await asyncio.Event().wait()

    pulse = Watchdog({"threads": probe}, every=0.01)
    running = asyncio.create_task(pulse.run())
    async with asyncio.timeout(20):
        await asked.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await asyncio.sleep(0)
    assert pulse.late() < 20
