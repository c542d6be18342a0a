"""Tests that periodic tasks continue after an error, and end when they are told to."""

from __future__ import annotations

import asyncio
import logging

import pytest

from scnet_hub.errors import NotStored
from scnet_hub.services.periodic import run_every


async def test_neither_trouble_nor_a_fault_ends_the_rounds_but_a_cancellation_does(
    caplog: pytest.LogCaptureFixture,
) -> None:
    outcomes = [NotStored("the database is busy"), ValueError("a fault"), None]
    through = asyncio.Event()

    async def look() -> None:
        if error := outcomes.pop(0):
            raise error
        through.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(run_every(look, 0, what="looking"))
    async with asyncio.timeout(5):
        await through.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    trouble, fault = caplog.records
    assert (
        trouble.levelno == logging.WARNING
        and trouble.getMessage() == "looking failed, will be tried again: the database is busy"
    )
    assert fault.levelno == logging.ERROR and fault.exc_info and fault.getMessage() == "looking failed"


async def test_a_cancellation_between_two_looks_ends_the_rounds_too() -> None:
    looked = asyncio.Event()

    async def look() -> None:
        looked.set()

    task = asyncio.create_task(run_every(look, 60, what="looking"))
    async with asyncio.timeout(5):
        await looked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
