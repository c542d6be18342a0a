"""Tests that hub and broker can be killed with a session running: the session stays, stays reachable, and an open
kernel loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess

import httpx

from scnet_hub.demo.browser import Browser

from .conftest import SCNET, Running, eventually
from .test_main_job import in_lab, lab_of


async def test_killed_hub_and_broker_lose_nothing(demo: Running) -> None:
    browser = await in_lab(demo)
    session = lab_of(demo, "ada")
    kernel = await browser.kernel()
    await kernel.run("kept = 0")
    stop = asyncio.Event()
    answers: list[int] = []

    async def ask() -> None:
        while not stop.is_set():
            answers.append((await browser.http.get("/user/ada/api/status", follow_redirects=False)).status_code)
            await asyncio.sleep(0.05)

    async def compute() -> int:
        done = 0
        while not stop.is_set():
            done += 1
            assert (await kernel.run("kept += 1; print(kept)")).strip() == str(done)
        return done

    asking, computing = asyncio.create_task(ask()), asyncio.create_task(compute())
    old = {name: demo.pid(name) for name in ("hub", "broker")}
    for pid in old.values():
        os.kill(pid, signal.SIGKILL)
    await eventually(lambda: all(demo.pid(name) != pid for name, pid in old.items()))
    after = await eventually(lambda: (one := demo.operator.session(str(session["id"])))["state"] == "ready" and one)
    await eventually(lambda: lab_of(demo, "ada"))
    stop.set()
    await asking
    assert await computing > 3 and set(answers) == {200}
    assert after["job_id"] == session["job_id"]
    await until_listed(browser)
    assert (await kernel.run("print(kept > 0)")).strip() == "True"
    kernel.close()
    await browser.stop()
    await eventually(lambda: demo.operator.session(str(session["id"]))["state"] == "charged")
    await browser.http.aclose()


async def until_listed(browser: Browser) -> None:
    """The hub itself lists the server as ready again."""
    for _ in range(300):
        answer = await browser.http.get("/hub/api/users/ada", headers={"Referer": f"{browser.url}/hub/home"})
        if answer.status_code == 200 and answer.json().get("servers", {}).get("", {}).get("ready"):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the hub does not list the server after its restart")


async def test_a_stop_pressed_while_the_broker_is_away_is_carried_out_when_it_is_back(demo: Running) -> None:
    browser = await in_lab(demo)
    session = lab_of(demo, "ada")
    os.kill(demo.pid("broker"), signal.SIGSTOP)
    try:
        await browser.stop()
    finally:
        os.kill(demo.pid("broker"), signal.SIGCONT)
    await eventually(lambda: demo.operator.session(str(session["id"]))["state"] == "charged")
    await browser.http.aclose()


async def test_a_start_while_the_broker_is_away_says_so(demo: Running) -> None:
    async with Browser(demo.url, "grace") as browser:
        await browser.log_in(demo.passwords["grace"])
        os.kill(demo.pid("broker"), signal.SIGSTOP)
        try:
            page = await browser.start_page()
            assert "broker does not answer" in page
        finally:
            os.kill(demo.pid("broker"), signal.SIGCONT)


async def test_a_hub_killed_while_a_session_starts_joins_it_again(demo: Running) -> None:
    async with Browser(demo.url, "ada") as browser:
        await browser.log_in(demo.passwords["ada"])
        await browser.start(profile="small")
        session = await eventually(lambda: lab_of(demo, "ada"))
        hub = demo.pid("hub")
        os.kill(hub, signal.SIGKILL)
        await eventually(lambda: demo.pid("hub") != hub)
        await eventually(lambda: demo.operator.session(str(session["id"]))["state"] == "ready")
        await asyncio.sleep(0.1)
        for _ in range(100):
            answer = await browser.http.get("/hub/api/")
            if answer.status_code == 200:
                break
            await asyncio.sleep(0.1)
        await browser.start(profile="small")  # the hub joins it by itself too, perhaps in this very moment
        await browser.until_lab_answers()
        assert lab_of(demo, "ada")["id"] == session["id"], "the second click joins the first session"
        await browser.stop()
        await eventually(lambda: demo.operator.session(str(session["id"]))["state"] == "charged")


async def test_clicks_on_start_at_once_and_later_lead_to_one_session(demo: Running) -> None:
    async with Browser(demo.url, "ada") as browser:
        await browser.log_in(demo.passwords["ada"])
        before = {one["id"] for one in demo.operator.sessions()}
        await asyncio.gather(*(browser.start(profile="small") for _ in range(3)))
        await browser.until_lab_answers()
        await browser.start(profile="small")
        assert len([one for one in demo.operator.sessions() if one["id"] not in before]) == 1
        await browser.stop()


async def test_a_killed_proxy_has_its_routes_back_in_seconds(demo: Running) -> None:
    """It comes back empty; nobody has to wait for JupyterHub's look every five minutes."""
    browser = await in_lab(demo)
    await browser.http.get("/user/ada/lab")
    old = demo.pid("proxy")
    os.kill(old, signal.SIGKILL)
    await eventually(
        lambda: demo.pid("proxy") != old and httpx.get(f"{demo.url}/hub/api/", trust_env=False).status_code == 200, 30
    )
    await eventually(lambda: demo.operator.sessions()[0]["state"] == "ready", 15)  # the broker's door
    for _ in range(100):
        if (await browser.http.get("/user/ada/api/status", follow_redirects=False)).status_code == 200:
            break
        await asyncio.sleep(0.1)
    assert (await browser.http.get("/user/ada/api/status", follow_redirects=False)).status_code == 200
    await browser.stop()
    await eventually(lambda: not demo.operator.sessions())
    await browser.http.aclose()


async def test_a_queued_start_is_taken_up_by_the_new_hub_and_its_stop_reaches_the_job(demo: Running) -> None:
    """Nobody clicks: the hub that died was the only one who waited for this session."""
    subprocess.run([SCNET, "demo", "--home", str(demo.home), "--fill", "alpha"], check=True, timeout=60)
    try:
        async with Browser(demo.url, "ada") as browser:
            await browser.log_in(demo.passwords["ada"])
            await browser.start(profile="small", centre="alpha")
            session = await eventually(lambda: (one := lab_of(demo, "ada"))["state"] == "queued" and one)
            hub = demo.pid("hub")
            os.kill(hub, signal.SIGKILL)
            await eventually(lambda: demo.pid("hub") != hub)
            await until_pending(browser)
            assert lab_of(demo, "ada")["id"] == session["id"]
            await browser.stop()
            await eventually(lambda: not demo.operator.session(str(session["id"]))["live"])
    finally:
        subprocess.run([SCNET, "demo", "--home", str(demo.home), "--unfill", "alpha"], check=True, timeout=60)


async def until_pending(browser: Browser) -> None:
    """The hub itself says that the person's server is being started."""
    for _ in range(600):
        with contextlib.suppress(httpx.HTTPError):
            answer = await browser.http.get("/hub/api/users/ada", headers={"Referer": f"{browser.url}/hub/home"})
            if answer.status_code == 200 and answer.json().get("servers", {}).get("", {}).get("pending") == "spawn":
                return
        await asyncio.sleep(0.1)
    raise AssertionError("the hub did not take up the start that was pending when it died")
