"""Tests My sessions: why a session does not run, the person's other sessions; and the address of a stopped named
session beside a running one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from scnet_hub.display.endings import TAIL
from scnet_hub.hub.views.home import view
from tests.builders.chromium import chromium_page

from .labs import NOW, Lab, LabBroker, LabHub, serve

HOSTILE = "<script>alert(1)</script>"
AT = datetime.fromisoformat(NOW)


def session(**facts: Any) -> dict[str, Any]:
    return {
        "id": "s1", "kind": "lab", "name": "", "live": True, "state": "ready", "centre": "alpha",
        "centre_name": "Alpha", "cores": 1, "gpus": 0, "created_at": "2026-11-23T07:00:00.000Z",
        "started_at": "2026-11-23T07:00:05.000Z", "ended_at": None, "reason": "", "end_reason": "", "exit_code": "",
        "in_flight": 0.5, "charged": None, **facts,
    }  # fmt: skip


def over(hour: int, reason: str, **facts: Any) -> dict[str, Any]:
    return session(
        live=False,
        state="charged",
        ended_at=f"2026-11-23T{hour:02}:00:00.000Z",
        end_reason=reason,
        charged=1.5,
        **facts,
    )


def test_each_server_says_how_its_last_session_ended_and_a_live_one_nothing() -> None:
    found = view(
        [
            over(7, "Stopped on request."), over(8, f"The job failed (oom).{TAIL}MemoryError", exit_code="0:9"),
            over(8, "The program ended by itself.", name="gpu"), session(name="gpu"),
        ], AT, UTC,
    )["ended"]  # fmt: skip
    assert set(found) == {""}
    assert (
        found[""]["failed"]
        and found[""]["cause"] == "The job was killed by signal 9."
        and found[""]["log"] == "MemoryError"
    )
    assert "last lines of its log" in found[""]["advice"] and "23 Nov 08:00" in found[""]["at"]


def test_a_dask_cluster_is_one_line_and_a_batch_job_that_failed_stays_for_a_day() -> None:
    cluster = [
        session(id=f"d{n}", kind="dask", name=f"dask-3f2a-{n}", state="ready" if n < 2 else "queued") for n in range(3)
    ]
    ended = over(8, "The job failed (NonZeroExitCode).", id="b1", kind="batch", name="train-x", exit_code="3:0")
    old = ended | {"id": "b2", "ended_at": "2026-11-21T08:00:00.000Z"}
    done = over(8, "The program ended by itself.", id="b3", kind="batch", name="fine")
    found = {one["name"]: one for one in view([*cluster, ended, old, done], AT, UTC)["others"]}
    assert set(found) == {"dask-3f2a", "train-x"}
    assert found["dask-3f2a"]["state"] == "2 running, 1 queued" and found["dask-3f2a"]["stops"] == ["d0", "d1", "d2"]
    assert found["train-x"]["state"] == "failed" and found["train-x"]["cause"] == "The job failed with exit code 3."
    assert found["train-x"]["stops"] == []


def test_a_cluster_says_where_its_jobs_are_why_they_wait_and_where_its_dashboard_is() -> None:
    path = "/user/ada/proxy/8787/status"
    jobs = [
        session(id="d0", kind="dask", name="ocean-0", dashboard=path),
        session(id="d1", kind="dask", name="ocean-1", state="queued", place_in_queue=7, reason="Priority"),
        session(id="d2", kind="dask", name="ocean-2", state="queued", place_in_queue=3, reason="Resources"),
        session(id="d3", kind="dask", name="ocean-3", centre_name="Beta", place_in_queue=1),
    ]
    (found,) = view(jobs, AT, UTC)["others"]
    assert found["centre"] == "Alpha: 1 running, 2 queued; Beta: 1 running"
    assert found["cause"] == "number 3 in the queue: waiting for free cores"
    assert (found["state"], found["tone"]) == ("2 running, 2 queued", "up")
    assert (found["dashboard"], found["cost"], found["size"]) == (path, "2.00", "4 cores")


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/user/ada/gpu/proxy/8787/status", True),
        ("/jupyter/user/ada%40x/proxy/8787/status", True),
        ("//evil.example/user/ada/proxy/8787/status", False),
        ("javascript:alert(1)", False),
        ("https://evil.example/user/ada/proxy/8787/status", False),
        ("/user/ada/proxy/8787/status\n", False),
        ("/hub/logout?/user/ada/proxy/8787/status", False),
    ],
)
def test_a_dashboard_is_a_path_behind_a_persons_server_and_nothing_else(path: str, shown: bool) -> None:
    (found,) = view([session(kind="dask", name="ocean-0", dashboard=path)], AT, UTC)["others"]
    assert found["dashboard"] == (path if shown else "")


@pytest.fixture
def broker() -> Iterator[LabBroker]:
    made = LabBroker()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_a_lab_that_was_killed_says_why_and_its_address_leads_to_the_hub(tmp_path: Path, broker: LabBroker) -> None:
    hub, lab = LabHub(tmp_path, broker), serve(Lab)
    hub.start()
    try:
        for name in ("", "work"):
            hub.begin(name=name)
            hub.until(lambda: any(one["name"] == name for one in broker.sessions.values()))  # noqa: B023
            key = next(one["id"] for one in broker.sessions.values() if one["name"] == name)
            broker.ready(key, lab)
            hub.until(lambda: hub.server(name=name).get("ready"))  # noqa: B023
        dask = broker.session(kind="dask", name="dask-ab-0", state="ready")["id"]
        why = f"It used more memory than the 2 GiB it had asked for (OUT_OF_MEMORY).{TAIL}Killed {HOSTILE}"
        broker.move(key, live=False, state="charged", end_reason=why, ended_at="2026-11-23T08:59:00.000Z", charged=1.0)
        with closing(hub.browser("ada")) as ada:
            home = ada.get("/hub/home").text
            assert (
                "Default session" in home and 'data-state="down"' in home and "Failed" in home and HOSTILE not in home
            )
            assert "It used more memory than the 2 GiB" in home and "Start it again with more memory" in home
            assert "Killed &lt;script&gt;" in home and re.search(
                r'<time datetime="2026-11-23T08:59:00.000Z" data-form="minute">', home
            )
            assert hub.routes["/user/ada/work/"] == hub.routes.get("/", hub.url.removesuffix("/hub/api/"))
            page = ada.get("/user/ada/work/lab")
            assert page.status_code == 424 and "“work” is not running" in page.text and "Start it" in page.text
            assert "It used more memory than the 2 GiB" in page.text and HOSTILE not in page.text
            stopped = ada.post("/hub/scnet/stop", data={"_xsrf": ada.cookies["_xsrf"], "session": dask})
            assert stopped.status_code == 200 and f"stop {dask}" in broker.calls
            workers = [
                broker.session(kind="dask", name=f"dask-cd-{number}", state="ready")["id"] for number in range(130)
            ]
            stopped = ada.post("/hub/scnet/stop", data={"_xsrf": ada.cookies["_xsrf"], "session": ["gone", *workers]})
            assert stopped.status_code == 404 and "1 of 131 were not stopped" in stopped.text
            assert {f"stop {one}" for one in workers} <= set(broker.calls), (
                "one that is gone keeps no other from being stopped"
            )
            assert ada.post("/hub/scnet/stop", data={"session": dask}).status_code == 403
            assert (
                ada.post("/hub/scnet/stop", data={"_xsrf": ada.cookies["_xsrf"], "session": "../me"}).status_code == 400
            )
        hub.begin(name="work")
        hub.until(lambda: [one for one in broker.sessions.values() if one["name"] == "work" and one["live"]])
        broker.ready(next(one["id"] for one in broker.sessions.values() if one["name"] == "work" and one["live"]), lab)
        hub.until(lambda: hub.routes["/user/ada/work/"] == f"http://127.0.0.1:{lab.server_address[1]}")
        stop_by_hand(hub)
    finally:
        hub.stop()
        lab.shutdown()
        lab.server_close()


def stop_by_hand(hub: LabHub) -> None:
    """In Chromium: the name stays, the state says "Stopping…", and Start is there only once it is over."""
    with chromium_page() as page, closing(hub.browser("ada")) as ada:
        signed_in(page, ada)
        page.goto(hub.url.removesuffix("api/") + "home", wait_until="networkidle")
        row = page.locator('tr[data-server-name="work"]')
        row.get_by_role("button", name="Stop").click()
        expect(row.get_by_text("work", exact=True)).to_be_visible()
        expect(row.get_by_role("link", name="Start")).to_be_visible()
        expect(row.get_by_text(re.compile("Running|Stopping"))).to_have_count(0)


def test_clusters_on_the_page_stay_current_but_not_under_a_persons_hands(tmp_path: Path, broker: LabBroker) -> None:
    hub = LabHub(tmp_path, broker)
    hub.start()
    try:
        with chromium_page() as page, closing(hub.browser("ada")) as ada:
            signed_in(page, ada)
            page.clock.install()
            page.goto(hub.url.removesuffix("api/") + "home", wait_until="networkidle")
            others = page.locator("#others")
            expect(others.get_by_role("row")).to_have_count(0)
            made = [
                broker.session(kind="dask", name=f"ocean-{n}", dashboard="/user/ada/proxy/8787/status")["id"]
                for n in range(2)
            ]
            page.clock.fast_forward(10_000)
            expect(others.get_by_role("row", name="ocean")).to_contain_text("2 queued")
            link = others.get_by_role("link", name="dashboard")
            expect(link).to_have_attribute("href", "/user/ada/proxy/8787/status")
            broker.move(made[0], state="ready", started_at=NOW)
            page.clock.fast_forward(10_000)
            expect(others).to_contain_text("1 running, 1 queued")
            link.focus()
            broker.move(made[1], state="ready", started_at=NOW)
            page.clock.fast_forward(10_000)
            page.evaluate("document.activeElement.blur()")
            expect(others).to_contain_text("1 running, 1 queued")
            broker.away = True
            page.clock.fast_forward(10_000)
            expect(others.get_by_role("note")).to_contain_text("can't be shown at the moment")
            expect(others.get_by_role("row", name="ocean")).to_contain_text("1 running, 1 queued")
            broker.away = False
            page.clock.fast_forward(10_000)
            expect(others).to_contain_text("2 running")
            expect(others.get_by_role("note")).to_have_count(0)
            others.get_by_role("button", name="Stop ocean").click()
            expect(page.locator("#others").get_by_role("row")).to_have_count(0)
            assert {f"stop {one}" for one in made} <= set(broker.calls)
    finally:
        hub.stop()


def signed_in(page: Page, person: httpx.Client) -> None:
    page.context.add_cookies(
        [
            {"name": one.name, "value": str(one.value), "domain": "127.0.0.1", "path": one.path}
            for one in person.cookies.jar
        ]
    )
