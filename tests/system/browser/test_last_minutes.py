"""Tests the end of sessions in the running demo: an idle session is warned, kept and stopped; a session that has little
time left is continued."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from scnet_hub.demo.state import FEDERATION
from tests.builders.chromium import chromium_page
from tests.system.demo.conftest import Running, start, stop, wait_for

from . import steps
from .test_time_left import notices, picture, toast

pytestmark = [pytest.mark.browser, pytest.mark.slow]
CENTRES = ("alpha", "beta", "gamma")


@pytest.fixture(scope="module")
def demo() -> Iterator[Running]:
    home = Path(tempfile.mkdtemp(prefix="sc-"))
    page = FEDERATION.format(centres=", ".join(f'"centres/{name}.toml"' for name in CENTRES))
    (home / "federation.toml").write_text(f'{page}\n[idle]\ntimeout = "60s"\n')
    running = start(home)
    wait_for(lambda: all(centre["state"] == "up" for centre in running.operator.centres()))
    yield running
    stop(running)
    shutil.rmtree(home, ignore_errors=True)


def test_a_session_that_nobody_uses_is_warned_kept_and_stopped(demo: Running, tmp_path: Path) -> None:
    with chromium_page() as page:
        steps.log_in(page, demo.url, "ada", demo.passwords["ada"])
        steps.press_start(page)
        steps.until_lab_is_there(page, "ada")
        expect(page.locator(".scnet-time-left")).to_have_text(re.compile(r"^(1 h|5\d min) left$"), timeout=60_000)
        warning = page.locator(".Toastify__toast").filter(has_text="This session has been idle for")
        expect(warning).to_be_in_viewport(ratio=1, timeout=90_000)
        picture(page, "07-idle", tmp_path)
        warning.get_by_role("button", name="Keep it running").click()
        expect(warning).to_have_count(0)
        assert demo.operator.sessions()[0]["state"] == "ready"
        expect(warning).to_have_count(1, timeout=90_000)
    ended = wait_for(lambda: (one := demo.operator.sessions(all=True)[0])["state"] == "charged" and one, 120)
    assert ended["end_reason"] == "Stopped: nothing ran in it for 1 min."
    assert ended["held"] == 0 and ended["charged"] > 0


def test_the_next_session_takes_over_with_the_same_folder_and_address(demo: Running, tmp_path: Path) -> None:
    with chromium_page() as page:
        steps.log_in(page, demo.url, "grace", demo.passwords["grace"])
        page.get_by_text("Own size", exact=True).click()
        page.locator("input[name=walltime]").fill("10m")
        steps.press_start(page)
        steps.until_lab_is_there(page, "grace")
        page.goto(f"{demo.url}/user/grace/lab/tree/scnet-notebooks/01-first-session.ipynb")
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
        page.locator(".jp-Notebook .jp-CodeCell .jp-InputArea-editor").first.click()
        page.keyboard.press("Control+End")
        page.keyboard.type("  # typed just now")
        first = demo.operator.sessions()[0]
        page.locator(".scnet-time-left").click()
        toast(page, "Continue saves your documents").get_by_role("button", name="Continue").first.click()
        wait_for(
            lambda: any("# typed just now" in path.read_text() for path in demo.home.rglob("01-first-session.ipynb"))
        )
        expect(toast(page, "You are in the next session now")).to_be_in_viewport(ratio=1, timeout=120_000)
        page.locator(".jp-Notebook").get_by_text("# typed just now").wait_for()
        picture(page, "08-continued", tmp_path)
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
        assert len(notices(page)) <= 2
    old, new = (
        wait_for(lambda key=key: demo.operator.session(key)) for key in (first["id"], demo.operator.sessions()[0]["id"])
    )
    assert new["id"] != old["id"] and new["centre"] == old["centre"]
    wait_for(lambda: demo.operator.session(old["id"])["state"] == "charged", 120)
    assert demo.operator.session(old["id"])["end_reason"] == "Continued in the next session."
