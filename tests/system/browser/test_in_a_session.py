"""In Chromium, what a person meets inside JupyterLab: no request that fails, the session's commands in a terminal, a
job that is live."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Response, expect

from tests.builders.chromium import chromium_page
from tests.builders.fakes.broker import FakeBroker
from tests.system.session.labs import Lab

COMMANDS = Path(sys.executable).parent  # of the session's environment, as session/packages.py puts them on PATH
pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def page() -> Iterator[Page]:
    with chromium_page() as page:
        yield page


def test_a_lab_asks_for_nothing_that_is_not_there_and_its_terminal_is_the_sessions(page: Page) -> None:
    failed: list[str] = []

    def note(answer: Response) -> None:
        if answer.status >= 400:
            failed.append(f"{answer.status} {answer.url}")

    page.on("response", note)
    page.on("console", lambda message: failed.append(message.text) if message.type == "error" else None)
    with FakeBroker() as broker, Lab(broker, SHELL="/bin/bash", PATH=f"{COMMANDS}:{os.defpath}") as lab:
        page.goto(f"{lab.url}lab?token={lab.token}")
        page.locator("#jupyterlab-splash").wait_for(state="detached")
        page.get_by_text("Terminal", exact=True).last.click()
        page.locator(".jp-Terminal .xterm-screen").click()
        page.keyboard.type("command -v scnet > found; exit\n")
        expect(page.locator(".jp-Terminal .xterm-screen")).to_have_count(0)
        assert (lab.home / "found").read_text().endswith("/bin/scnet\n")
    assert not failed


def test_a_jobs_view_follows_the_job_and_stays_in_the_notebook(page: Page) -> None:
    with FakeBroker() as broker, Lab(broker, **broker.environment()) as lab:
        page.goto(f"{lab.url}lab?reset&token={lab.token}")
        page.locator("#jupyterlab-splash").wait_for(state="detached")
        page.locator('.jp-LauncherCard[title^="Python 3"]').first.click()
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()  # before that, JupyterLab runs no cell
        cell = page.locator(".jp-Notebook .jp-Cell .cm-content").first
        cell.click()
        page.keyboard.type(
            'import scnet_hub as scnet; job = scnet.run("sleep 60", name="mine", cores=1, walltime="10m"); job'
        )
        page.keyboard.press("Control+Enter")
        shown = page.locator(".jp-OutputArea .scnet")
        expect(shown.locator(".scnet-summary")).to_have_text(re.compile("^mine at .*: running$"), timeout=60_000)
        shown.get_by_role("button", name=re.compile("^Stop session mine")).click()
        shown.get_by_role("button", name=re.compile("^Yes")).click()
        expect(shown.locator(".scnet-summary")).to_have_text(re.compile("^mine at .*: (ended|stopped)$"))
