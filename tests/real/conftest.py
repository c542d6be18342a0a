"""One hub over the four real centres of the testbed, for the tests of this folder: the command that an operator
types."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real import testbed as tb
from tests.system.demo.conftest import Running, start, stop, wait_for

SESSION = "/opt/scnet/session"  # where the pages say that the session environment is


@pytest.fixture(scope="module")
def hub(request: pytest.FixtureRequest, testbed: tb.Testbed, session_environment: Path) -> Iterator[Running]:
    """By the demo's federation page, or by the module's own `FEDERATION`."""
    testbed.bind(session_environment, SESSION)
    home = testbed.outfit(
        Path(tempfile.mkdtemp(prefix="sc-")), watch=(4, 2), listen_port=secrets.choice(range(19000, 29000))
    )
    if page := getattr(request.module, "FEDERATION", ""):
        (home / "federation.toml").write_text(page)
    running = start(home, "--centres", "given", "--host", testbed.hub)
    wait_for(lambda: [centre["state"] for centre in running.operator.centres()] == ["up"] * len(testbed.centres))
    yield running
    for session in running.operator.sessions():
        running.operator.stop(session["id"])
    wait_for(lambda: not running.operator.sessions(), 90)
    stop(running)
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def nothing_left(hub: Running) -> Iterator[None]:
    """A session that a failed test left would be re-joined by the next."""
    yield
    for session in hub.operator.sessions():
        hub.operator.stop(session["id"])
    wait_for(lambda: not hub.operator.sessions(), 90)
