"""Tests that a session which continues another takes over its server: the same address, the same login, another job."""

from __future__ import annotations

import asyncio
import time

from scnet_hub.demo.browser import Browser

from .conftest import Running, eventually
from .test_main_job import in_lab, lab_of


async def said(browser: Browser, code: str, seconds: float = 60) -> str:
    """What a new kernel prints. The old server may answer until the moment in which the address leads to the next one:
    asked again."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            kernel = await browser.kernel()
            printed = await kernel.run(code)
        except Exception as error:
            assert time.monotonic() < deadline, f"no kernel answers: {error!r}"
            await asyncio.sleep(0.2)
        else:
            kernel.close()
            return printed.strip()


async def test_the_same_address_leads_to_the_next_session_and_stop_stops_that_one(demo: Running) -> None:
    browser = await in_lab(demo)
    first = str(lab_of(demo, "ada")["id"])
    with demo.as_hub("ada") as broker:
        answer = broker.post(f"sessions/{first}/continue")
        assert answer.status_code == 201, answer.text
        second = answer.json()["id"]
        await eventually(lambda: broker.get(f"sessions/{second}").json()["state"] == "ready")
        await eventually(lambda: not broker.get(f"sessions/{first}").json()["live"])
        await browser.until_lab_answers()
        assert (
            await said(browser, "import scnet_hub as scnet; print([one['id'] for one in scnet.sessions()])")
            == f"['{second}']"
        )
        await browser.stop()
        await eventually(lambda: broker.get(f"sessions/{second}").json()["state"] == "charged")
        assert broker.get(f"sessions/{first}").json()["state"] == "charged"
    await browser.http.aclose()
