"""A saved notebook the next day, in a real JupyterLab: its panel shows the last state and how old that is, and no
error."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.builders.chromium import chromium_page
from tests.builders.fakes.broker import FakeBroker, until
from tests.system.session.labs import ROOT, Lab

pytestmark = [pytest.mark.browser, pytest.mark.slow]
CELL = {
    "id": "a",
    "cell_type": "code",
    "source": "import scnet_hub as scnet\nscnet.panel()",
    "metadata": {},
    "outputs": [],
    "execution_count": None,
}
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
NOTEBOOK = {"nbformat": 4, "nbformat_minor": 5, "metadata": KERNEL, "cells": [CELL]}


def test_a_panel_of_yesterday_shows_what_it_showed_and_its_age() -> None:
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(FakeBroker())
        broker.lab()
        lab = stack.enter_context(Lab(broker, SCNET_IDLE_TIMEOUT="7200", PYTHONPATH=str(ROOT)))
        page = stack.enter_context(chromium_page())
        page.set_default_timeout(180_000)  # a kernel that imports all of this on a busy machine
        file = lab.home / "n.ipynb"
        file.write_text(json.dumps(NOTEBOOK))
        opened(page, lab)
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
        page.locator(".jp-Cell .cm-content").first.click()
        page.keyboard.press("Shift+Enter")
        page.locator(".scnet-summary").wait_for()
        summary = page.locator(".scnet-summary").inner_text()
        assert page.get_by_role("button", name="Stop session default").is_visible()
        page.keyboard.press("Control+s")
        # whole, not half written
        until(lambda: '"widgets"' in file.read_text() and file.read_text().rstrip().endswith("}"), 60)
        assert "widgets" in saved(file)["metadata"]
        assert "text/html" in saved(file)["cells"][0]["outputs"][0]["data"], "for programs that know no widgets"
        for one in lab.http.get("api/sessions").json():
            lab.http.delete(f"api/sessions/{one['id']}")
        assert page.context.browser
        page = page.context.browser.new_page()
        page.set_default_timeout(180_000)
        opened(page, lab)
        expect(page.locator(".scnet-summary")).to_have_text(summary, timeout=180_000)
        expect(page.locator(".scnet-asof")).to_contain_text("ago: run the cell again for a live view")
        assert page.get_by_role("button", name="Stop session default").count() == 0
        assert page.get_by_text("Error displaying widget").count() == 0


def opened(page: Page, lab: Lab) -> None:
    page.goto(f"{lab.url}lab/tree/n.ipynb?token={lab.token}")
    page.locator(".jp-NotebookPanel .jp-Cell").first.wait_for()


def saved(file: Any) -> Any:
    return json.loads(file.read_text())
