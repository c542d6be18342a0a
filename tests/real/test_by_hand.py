"""The main job on four real centres, in Chromium: pinned to each, and at the best; a Dask cluster where the session
is."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.builders.chromium import chromium_page
from tests.system.browser import steps
from tests.system.demo.conftest import Running, wait_for


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("centre", ["a", "b", "c", "d", ""], ids=["a", "b", "c", "d", "best"])
def test_a_lab_session_by_hand(hub: Running, centre: str) -> None:
    with chromium_page() as page:
        steps.log_in(page, hub.url, "ada", hub.passwords["ada"])
        page.locator(f"input[name=centre][value='{centre}']").check()
        steps.press_start(page)
        steps.until_lab_is_there(page, "ada")
        session = next(one for one in hub.operator.sessions() if one["person"] == "ada" and one["kind"] == "lab")
        assert centre in ("", session["centre"])

        panel = steps.run_notebook(page, hub.url, "ada", "01-first-session")
        for name in (one["name"] for one in hub.operator.centres()):
            expect(page.locator(".jp-OutputArea").get_by_text(name).first).to_be_visible()
        assert not page.locator(".jp-OutputArea").get_by_text(re.compile("has not answered|not been contacted")).count()
        first = panel.inner_text()
        expect(panel).not_to_have_text(first, timeout=60_000)
        assert steps.no_cell_failed(page)

        steps.press_stop(page, hub.url)
        ended = wait_for(lambda: (one := hub.operator.session(session["id"]))["state"] == "charged" and one, 90)
        assert ended["charged"] > 0 and ended["end_reason"] == "Stopped on request."
