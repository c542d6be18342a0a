"""The main job by hand, in Chromium: log in, read the start page, start, run the first notebook, see the panel move,
stop.

Each step leaves a picture; SCNET_PICTURES=docs/images puts them where the tutorial shows them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.builders.chromium import chromium_page
from tests.system.demo.conftest import Running, start, stop, wait_for

from . import steps


@pytest.fixture(scope="module")
def demo() -> Iterator[Running]:
    home = Path(tempfile.mkdtemp(prefix="sc-"))
    running = start(home, calm=False)
    wait_for(lambda: all(centre["state"] == "up" for centre in running.operator.centres()))
    yield running
    stop(running)
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def page() -> Iterator[Page]:
    with chromium_page() as page:
        yield page


def picture(page: Page, name: str, folder: Path) -> None:
    page.screenshot(path=str(Path(os.environ.get("SCNET_PICTURES") or folder) / f"{name}.png"))


def test_the_main_job_by_hand(demo: Running, page: Page, tmp_path: Path) -> None:
    outside: list[str] = []
    page.on(
        "request",
        lambda request: (
            outside.append(request.url) if not request.url.startswith((demo.url, "data:", "blob:")) else None
        ),
    )

    page.goto(demo.url)
    picture(page, "01-login", tmp_path)
    steps.log_in(page, demo.url, "ada", demo.passwords["ada"])
    for name in ("Alpha Computing Centre", "Beta Supercomputing Centre", "Gamma Data Centre"):
        expect(page.get_by_role("rowheader", name=name)).to_be_visible()
    page.set_viewport_size({"width": 1280, "height": 1060})
    picture(page, "02-start-page", tmp_path)
    page.set_viewport_size({"width": 1280, "height": 900})

    steps.press_start(page)
    picture(page, "03-starting", tmp_path)
    steps.until_lab_is_there(page, "ada")
    picture(page, "04-lab", tmp_path)

    panel = steps.run_notebook(page, demo.url, "ada", "01-first-session")
    first = panel.inner_text()
    picture(page, "05-panel", tmp_path)
    assert page.locator(".jp-OutputArea").get_by_text("Gamma Data Centre").count() >= 1
    expect(panel).not_to_have_text(first, timeout=60_000)  # it keeps itself fresh
    assert steps.no_cell_failed(page)

    page.goto(f"{demo.url}/hub/home")
    picture(page, "06-home", tmp_path)
    steps.press_stop(page, demo.url)
    session = wait_for(lambda: (one := demo.operator.sessions(all=True)[0])["state"] == "charged" and one)
    assert session["charged"] > 0
    assert not outside, "nothing is fetched from anywhere else"
