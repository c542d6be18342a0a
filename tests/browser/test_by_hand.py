"""The main job by hand, in Chromium: log in, read the start page, start, run the first notebook, see the panel move, stop.

Each step leaves a picture; SCNET_PICTURES=docs/images puts them where the tutorial shows them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.demo.conftest import Running, start, stop, wait_for

CHROMIUM = os.environ.get("SCNET_CHROMIUM", "/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    import shutil
    import tempfile

    home = Path(tempfile.mkdtemp(prefix="sc-"))
    running = start(home, calm=False)
    wait_for(lambda: all(centre["state"] == "up" for centre in running.operator.centres()))
    yield running
    stop(running)
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(60_000)
        yield page
        browser.close()


def picture(page: Page, name: str, folder: Path) -> None:
    page.screenshot(path=str(Path(os.environ.get("SCNET_PICTURES") or folder) / f"{name}.png"))


def test_the_main_job_by_hand(demo: Running, page: Page, tmp_path: Path) -> None:
    outside: list[str] = []
    page.on("request", lambda request: outside.append(request.url) if not request.url.startswith((demo.url, "data:", "blob:")) else None)

    page.goto(demo.url)
    picture(page, "01-login", tmp_path)
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password").fill(demo.passwords["ada"])
    page.get_by_role("button", name=re.compile("sign in", re.IGNORECASE)).click()

    expect(page.get_by_text("Best place for you")).to_be_visible()
    for name in ("Alpha Computing Centre", "Beta Supercomputing Centre", "Gamma Data Centre"):
        expect(page.get_by_role("rowheader", name=name)).to_be_visible()
    page.set_viewport_size({"width": 1280, "height": 1060})
    picture(page, "02-start-page", tmp_path)
    page.set_viewport_size({"width": 1280, "height": 900})

    page.get_by_role("button", name=re.compile("^Start")).click()
    expect(page.get_by_text("Submitted to").first).to_be_visible()
    picture(page, "03-starting", tmp_path)
    page.wait_for_url("**/user/ada/lab**")
    page.get_by_text("scnet-notebooks").first.wait_for()
    page.locator(".jp-Launcher").wait_for()
    page.locator("#jupyterlab-splash").wait_for(state="detached")
    picture(page, "04-lab", tmp_path)

    page.goto(f"{demo.url}/user/ada/lab/tree/scnet-notebooks/01-first-session.ipynb")
    page.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').wait_for()
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    expect(page.locator(".jp-InputPrompt").get_by_text("[3]:")).to_be_attached(timeout=60_000)
    panel = page.locator(".jp-OutputArea").get_by_text("as of").first
    panel.wait_for()
    panel.scroll_into_view_if_needed()
    first = panel.inner_text()
    picture(page, "05-panel", tmp_path)
    assert page.locator(".jp-OutputArea").get_by_text("Gamma Data Centre").count() >= 1
    expect(panel).not_to_have_text(first, timeout=60_000)  # it keeps itself fresh
    assert not page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']").count(), "a cell failed"

    page.goto(f"{demo.url}/hub/home")
    picture(page, "06-home", tmp_path)
    page.get_by_role("button", name=re.compile("stop", re.IGNORECASE)).or_(
        page.get_by_role("link", name=re.compile("stop", re.IGNORECASE))
    ).first.click()
    session = wait_for(lambda: (one := demo.operator.sessions(all=True)[0])["state"] == "charged" and one)
    assert session["charged"] > 0
    assert not outside, "nothing is fetched from anywhere else"
