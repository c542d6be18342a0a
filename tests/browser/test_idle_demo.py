"""A session of the running demo that nobody uses: warned, kept, warned again, stopped with its reason, its hold given back."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from scnet_hub.demo.state import FEDERATION
from tests.demo.conftest import Running, start, stop, wait_for

from . import steps
from .test_time_left import picture

pytestmark = [pytest.mark.browser, pytest.mark.slow]
CENTRES = ("alpha", "beta", "gamma")


@pytest.fixture
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
    with steps.chromium() as page:
        steps.log_in(page, demo.url, "ada", demo.passwords["ada"])
        steps.press_start(page)
        steps.until_lab_is_there(page, "ada")
        expect(page.locator(".scnet-time-left")).to_have_text("1 h left", timeout=60_000)
        warning = page.locator(".Toastify__toast").filter(has_text="Nothing has run here for")
        expect(warning).to_be_in_viewport(ratio=1, timeout=90_000)
        picture(page, "07-idle", tmp_path)
        warning.get_by_role("button", name="Keep it running").click()
        expect(warning).to_have_count(0)
        assert demo.operator.sessions()[0]["state"] == "ready"
        expect(warning).to_have_count(1, timeout=90_000)
    ended = wait_for(lambda: (one := demo.operator.sessions(all=True)[0])["state"] == "charged" and one, 120)
    assert ended["end_reason"] == "Stopped: nothing ran in it for 1 min."
    assert ended["held"] == 0 and ended["charged"] > 0
