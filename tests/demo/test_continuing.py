"""A session that continues another takes over its server: the same address, the same login, another job."""

from __future__ import annotations

from .conftest import Running, eventually
from .test_main_job import in_lab, lab_of


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
        kernel = await browser.kernel()
        assert (await kernel.run("import scnet_hub as scnet; print([one['id'] for one in scnet.sessions()])")).strip() == f"['{second}']"
        kernel.close()
        await browser.stop()
        await eventually(lambda: broker.get(f"sessions/{second}").json()["state"] == "charged")
        assert broker.get(f"sessions/{first}").json()["state"] == "charged"
    await browser.http.aclose()
