"""Tests, in Chromium, a JupyterLab whose session nears its end: its messages and their times, Continue, and Keep. Each
step saves a picture."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from scnet_hub.errors import Overdrawn
from tests.builders.chromium import chromium_page
from tests.builders.fakes.broker import FakeBroker, until
from tests.system.session.labs import Lab, hold

pytestmark = [pytest.mark.browser, pytest.mark.slow]
NOTEBOOK = {
    "cells": [{"cell_type": "code", "id": "a1", "execution_count": None, "metadata": {}, "outputs": [],
    "source": "before = 1"}], "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)"}},
    "nbformat": 4, "nbformat_minor": 5,
}  # fmt: skip


@pytest.fixture(scope="module")
def broker() -> Iterator[FakeBroker]:
    with FakeBroker() as fake:
        yield fake


@pytest.fixture
def page() -> Iterator[Page]:
    with chromium_page() as page:
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        yield page
        assert not wrong


def in_(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def picture(page: Page, name: str, folder: Path) -> None:
    page.screenshot(path=str(Path(os.environ.get("SCNET_PICTURES") or folder) / f"{name}.png"))


def enter(page: Page, lab: Lab, path: str = "") -> None:
    page.goto(f"{lab.url}lab{path}?token={lab.token}")
    page.locator("#jupyterlab-splash").wait_for(state="detached")
    page.locator(".scnet-time-left").wait_for()


def looked_at(page: Page) -> None:
    """As when somebody comes back to the page: then it asks at once."""
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def toast(page: Page, words: str | re.Pattern[str]) -> Locator:
    return page.locator(".Toastify__toast").filter(has_text=words)


def notices(page: Page) -> list[str]:
    return page.locator(".Toastify__toast").all_inner_texts()


def test_it_says_once_at_each_level_what_is_left_and_what_is_announced(
    broker: FakeBroker, page: Page, tmp_path: Path
) -> None:
    said = "Planned maintenance of Alpha at 18:00 UTC would end this session: New cooling."
    broker.lab("levels", expires_at=in_(890), warnings=[{"code": "maintenance", "message": said, "at": in_(300)}])
    with Lab(broker, "levels") as lab:
        enter(page, lab)
        expect(page.locator(".scnet-time-left")).to_have_text(re.compile(r"^1\d min left$"))
        expect(toast(page, re.compile(r"This session ends in 1\d min"))).to_be_in_viewport(ratio=1)
        expect(toast(page, said)).to_have_count(1)
        picture(page, "levels-15", tmp_path)
        with page.context.browser.new_context(timezone_id="Asia/Shanghai") as shanghai:  # the person's zone
            elsewhere = shanghai.new_page()
            enter(elsewhere, lab)
            expect(toast(elsewhere, re.compile(r"Alpha at \d{1,2} [A-Z][a-z]{2} 02:00 would end"))).to_have_count(1)
        enter(page, lab)  # a reload says nothing anew
        hold(3, lambda: not notices(page))
        broker.update("levels", expires_at=in_(302))  # the next level is at 300 s
        expect(toast(page, re.compile("This session ends in [345] min"))).to_be_in_viewport(ratio=1, timeout=90_000)
        expect(page.locator(".scnet-time-left")).to_have_text(re.compile("^[345] min left$"))
        picture(page, "levels-5", tmp_path)
        page.locator(".scnet-time-left").click()
        expect(toast(page, "This session ends at").get_by_role("button", name="Continue")).to_be_visible()


def test_continue_saves_starts_the_next_session_and_follows_it(broker: FakeBroker, page: Page, tmp_path: Path) -> None:
    broker.lab("one", expires_at=in_(800))
    with Lab(broker, "one") as lab:
        notebook = lab.home / "work.ipynb"
        notebook.write_text(json.dumps(NOTEBOOK))
        enter(page, lab, "/tree/work.ipynb")
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
        page.locator(".jp-Notebook .jp-CodeCell .jp-InputArea-editor").first.click()
        page.keyboard.press("Control+End")
        page.keyboard.type("; typed = 'just now'")
        assert "typed" not in notebook.read_text()

        broker.refusals[""] = Overdrawn("The project climate has 0.20 credits left.", hint="Ask for less.")
        toast(page, "This session ends in").get_by_role("button", name="Continue").click()
        expect(toast(page, "The project climate has 0.20 credits left. Ask for less.")).to_be_visible()
        picture(page, "continue-refused", tmp_path)
        del broker.refusals[""]
        until(lambda: "typed" in notebook.read_text(), 20)
        toast(page, "0.20 credits").get_by_role("button", name="Continue").click()
        expect(toast(page, "The next session waits in the queue of Alpha.")).to_be_in_viewport(ratio=1)
        picture(page, "continue-queued", tmp_path)
        broker.update("one", successor={**broker.sessions["one"]["successor"], "state": "charged", "live": False})
        failed = toast(page, "The next session ended before it was ready.")
        failed.get_by_role("button", name="Continue").click(timeout=20_000)
        expect(toast(page, "The next session waits in the queue of Alpha.")).to_be_in_viewport(ratio=1)
        broker.update("one", successor={**broker.sessions["one"]["successor"], "state": "starting"})
        expect(toast(page, "The next session is starting at Alpha.")).to_be_visible(timeout=20_000)
        assert len(notices(page)) == 1
    broker.lab("one-2", expires_at=in_(7200))
    with Lab(broker, "one-2", home=lab.home, port=lab.port):  # the hub's route leads to it now
        expect(toast(page, "You are in the next session now, until")).to_be_visible(timeout=60_000)
        expect(page.locator(".scnet-time-left")).to_have_text(re.compile("1 h 59 min left|2 h left"))
        page.locator(".jp-Notebook").get_by_text("just now").wait_for()
        picture(page, "continue-next", tmp_path)


def test_a_document_that_cannot_be_saved_is_named_and_nothing_is_continued(
    broker: FakeBroker, page: Page, tmp_path: Path
) -> None:
    broker.lab("full", expires_at=in_(800))
    with Lab(broker, "full") as lab:
        (lab.home / "work.ipynb").write_text(json.dumps(NOTEBOOK))
        enter(page, lab, "/tree/work.ipynb")
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
        page.locator(".jp-Notebook .jp-CodeCell .jp-InputArea-editor").first.click()
        page.keyboard.type("x")
        page.route(
            "**/api/contents/work.ipynb*",
            lambda route: route.abort() if route.request.method == "PUT" else route.continue_(),
        )
        toast(page, "This session ends in").get_by_role("button", name="Continue").click()
        expect(toast(page, "Not saved: work.ipynb. The session was not continued.")).to_be_visible()
        picture(page, "continue-unsaved", tmp_path)
        assert not broker.sessions["full"]["successor"]


def test_where_credits_run_out_documents_are_saved_by_themselves_and_the_warning_goes_when_they_last_again(
    broker: FakeBroker, page: Page, tmp_path: Path
) -> None:
    said = "Save your work now: credits are running out, and this session will be stopped at 14:30 UTC."
    why = "Project climate has 0.03 credits left, and 30 min more of this session cost up to 0.40 credits."
    warning = {"code": "credits", "message": said, "at": in_(240)}
    broker.lab("paid", expires_at=in_(7200), stops_at=in_(240), lease_end=why, warnings=[warning])
    with Lab(broker, "paid") as lab:
        notebook = lab.home / "work.ipynb"
        notebook.write_text(json.dumps(NOTEBOOK))
        enter(page, lab, "/tree/work.ipynb")
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
        expect(toast(page, said)).to_be_in_viewport(ratio=1)
        expect(page.locator(".scnet-time-left")).to_have_text(re.compile("^[34] min left$"))
        assert why in str(page.locator(".scnet-time-left").get_attribute("title"))
        page.locator(".jp-Notebook .jp-CodeCell .jp-InputArea-editor").first.click()
        page.keyboard.press("Control+End")
        page.keyboard.type("; typed = 'just now'")
        until(lambda: "typed" in notebook.read_text(), 20)
        picture(page, "credits", tmp_path)
        broker.update("paid", stops_at=None, lease_end="", warnings=[])
        until(lambda: not looked_at(page) and not toast(page, said).count(), 30)
        expect(page.locator(".scnet-time-left")).to_have_text(re.compile("2 h left|1 h 59 min left"))


def test_a_session_that_nobody_uses_warns_and_keep_keeps_it(broker: FakeBroker, page: Page, tmp_path: Path) -> None:
    broker.lab("idle", expires_at=in_(7200))
    with Lab(broker, "idle", SCNET_IDLE_TIMEOUT="40") as lab:
        enter(page, lab)
        warning = toast(page, "This session has been idle for")
        expect(warning).to_be_in_viewport(ratio=1, timeout=60_000)
        picture(page, "idle-warning", tmp_path)
        warning.get_by_role("button", name="Keep it running").click()
        expect(warning).to_have_count(0)
        assert not lab.told()["idle"]["warned"] and broker.sessions["idle"]["live"]
        expect(warning).to_have_count(1, timeout=60_000)
        page.keyboard.press("Escape")  # a person at the page is enough
        expect(warning).to_have_count(0, timeout=20_000)
        assert broker.sessions["idle"]["live"]
        broker.wait(lambda: not broker.sessions["idle"]["live"], 90)
        expect(toast(page, "Stopped: nothing ran in it for 40 s.")).to_be_visible(timeout=60_000)
