"""A centre's network is pulled, the hub is restarted meanwhile, and it is plugged in again: the notebook goes on, the
charge is right.

SCNET_OUTAGE_MINUTES=10 makes the outage as long as a person would remember it; in the suite it lasts for most of a
minute.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import Awaitable, Callable

import httpx
import pytest

from scnet_hub.demo.breaking import COMPUTE, TOLD, Seen, Tab
from scnet_hub.demo.browser import Browser
from scnet_hub.errors import BrokerError
from tests.real import testbed as tb
from tests.real.testbed.layout import CENTRES
from tests.system.demo.conftest import Running, wait_for

SECONDS = 60 * float(os.environ.get("SCNET_OUTAGE_MINUTES", "0.7"))
pytestmark = pytest.mark.slow


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("centre", ["a", "b"])
async def test_a_notebook_computes_on_through_an_outage_of_its_centres_network(
    hub: Running, testbed: tb.Testbed, centre: str
) -> None:
    async with Browser(hub.url, "ada") as ada:
        await ada.log_in(hub.passwords["ada"])
        await ada.start(profile="small", centre=centre)
        await ada.until_lab_answers()
        session = next(one for one in hub.operator.sessions() if one["person"] == "ada" and one["kind"] == "lab")
        tab, seen = Tab(ada, [await ada.kernel()]), Seen()
        await tab.run(COMPUTE, seen)
        with testbed.broken(centre, "net-down"):
            began = time.monotonic()
            await _until(lambda: _said(hub, session["id"], "unknown_since"), 90)
            marked = await asyncio.to_thread(hub.operator.session, session["id"])
            assert marked["state"] == "ready" and marked["held"] + marked["in_flight"] > 0
            os.kill(hub.pid("hub"), signal.SIGKILL)
            await _until(lambda: _hub_says_ready(ada), 60)
            await asyncio.sleep(max(0.0, SECONDS - (time.monotonic() - began)))
        await _until(lambda: _known_again(hub, session["id"]), 120)
        tab.kernel[-1].close()
        steps, pause = json.loads(await tab.run(TOLD.format(0), seen))
        assert pause < 5 and steps > SECONDS, f"{steps} steps, the longest pause {pause} s"
        same = await asyncio.to_thread(hub.operator.session, session["id"])
        assert (same["state"], same["job_id"]) == ("ready", session["job_id"])
        await ada.stop()
    charged = await asyncio.to_thread(
        wait_for, lambda: (one := hub.operator.session(session["id"]))["state"] == "charged" and one, 90
    )
    elapsed = int(testbed.at(centre, ["sacct", "-nXP", "-j", session["job_id"], "-o", "ElapsedRaw"], check=True).stdout)
    assert elapsed >= SECONDS
    assert charged["charged"] == pytest.approx(elapsed / 3600 * session["cores"] * CENTRES[centre].core_hour, abs=1e-5)


async def _until(true: Callable[[], Awaitable[bool]], seconds: float) -> None:
    """Polls until it is so. Errors count as not yet: the hub may be starting."""
    async with asyncio.timeout(seconds):
        while True:
            with contextlib.suppress(httpx.HTTPError, ValueError, KeyError, BrokerError):
                if await true():
                    return
            await asyncio.sleep(0.2)


async def _said(hub: Running, session: str, field: str) -> bool:
    return bool((await asyncio.to_thread(hub.operator.session, session))[field])


async def _known_again(hub: Running, session: str) -> bool:
    return not await _said(hub, session, "unknown_since")


async def _hub_says_ready(person: Browser) -> bool:
    answer = await person.http.get("/hub/api/users/ada", headers=person._headers("/hub/"))
    return bool(answer.json()["servers"][""]["ready"])
