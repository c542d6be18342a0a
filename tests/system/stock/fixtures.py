"""The two fixtures that batchspawner's suite takes from JupyterHub's: its own conftest asks for one that JupyterHub 6
has no more."""

from __future__ import annotations

import asyncio

import pytest
from jupyterhub.tests.conftest import db

__all__ = ["db", "event_loop"]


@pytest.fixture
async def event_loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()
