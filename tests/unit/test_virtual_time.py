"""Tests that the loop with virtual time keeps the order of a real loop, and that the time of day follows it."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import timedelta

import pytest

from tests.builders.clock import START, Clock


async def test_a_day_is_over_at_once_and_what_was_due_first_happens_first(virtual_time: None) -> None:
    began, clock, heard = time.monotonic(), Clock(), list[str]()
    loop = asyncio.get_running_loop()
    loop.call_later(7200, heard.append, "two hours")
    loop.call_later(60, heard.append, "a minute")
    await asyncio.sleep(86400)
    assert heard == ["a minute", "two hours"] and clock() == START + timedelta(days=1)
    assert time.monotonic() - began < 60


async def test_time_stands_still_while_something_is_done(virtual_time: None) -> None:
    loop = asyncio.get_running_loop()
    for _ in range(1000):
        await asyncio.sleep(0)
    assert loop.time() == 0


async def test_what_goes_to_a_thread_is_done_here_before_any_time_passes(virtual_time: None) -> None:
    loop, heard = asyncio.get_running_loop(), list[str]()
    loop.call_later(0.001, heard.append, "timer")
    assert await asyncio.to_thread(threading.get_ident) == threading.get_ident()
    heard.append("work")
    await asyncio.sleep(1)
    assert heard == ["work", "timer"]
    with pytest.raises(ZeroDivisionError):
        await asyncio.to_thread(divmod, 1, 0)


async def test_a_timeout_is_due_where_nothing_else_is(virtual_time: None) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(15):
            await asyncio.Event().wait()
    assert asyncio.get_running_loop().time() == 15


async def test_a_clock_can_skip_ahead_of_timers(virtual_time: None) -> None:
    clock = Clock()
    clock.skip(timedelta(days=2))
    assert clock() == START + timedelta(days=2) and asyncio.get_running_loop().time() == 0
