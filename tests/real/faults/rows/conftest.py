"""One hub over the four centres for all rows. Each centre's faults come one after the other, the four centres' at the
same time.

A story is a test that breaks one centre: `at("a")` says which. The stories of one centre run in a thread of its own, in
the order of the tests; each test is the outcome of its story. So no row waits for another centre's outage, and no
centre may notice another's.
"""

from __future__ import annotations

import logging
import secrets
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.real import testbed as tb
from tests.system.demo.conftest import Running, start, stop, wait_for

from .centre import PROJECT, SESSION, Broken

PAGE = f"""\
name = "Rows"
centres = ["centres/*"]

[[project]]
id = "{PROJECT}"
members = ["ada", "grace", "admin"]
grants = {{ first = 10000 }}
quota = {{ sessions = 60, cores = 400, gpus = 20 }}
"""
log = logging.getLogger(__name__)
Stories = dict[str, Future[None]]


@pytest.fixture(scope="package")
def hub(testbed: tb.Testbed, session_environment: Path) -> Iterator[Running]:
    testbed.bind(session_environment, SESSION)
    home = testbed.outfit(
        Path(tempfile.mkdtemp(prefix="sc-")), watch=(2, 1), listen_port=secrets.choice(range(19000, 29000))
    )
    for page in (home / "centres").glob("*.toml"):
        page.write_text(page.read_text().replace("[watch]\n", "[watch]\nforget_after = 20\n"))
    (home / "federation.toml").write_text(PAGE)
    running = start(home, "--centres", "given", "--host", testbed.hub)
    wait_for(lambda: [centre["state"] for centre in running.operator.centres()] == ["up"] * len(testbed.centres))
    yield running
    for session in running.operator.sessions():
        running.operator.stop(session["id"])
    wait_for(lambda: not running.operator.sessions(), 120)
    stop(running)
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="package")
def told(
    hub: Running, testbed: tb.Testbed, session_environment: Path, request: pytest.FixtureRequest
) -> Iterator[Stories]:
    """The outcome of each story, by the test's name."""
    lanes: dict[str, list[tuple[str, Callable[[Broken], None]]]] = defaultdict(list)
    for item in request.session.items:
        if (story := getattr(getattr(item, "function", None), "story", None)) and story.centre in testbed.centres:
            lanes[story.centre].append((item.name, story.tell))
    outcomes: Stories = {name: Future() for lane in lanes.values() for name, _ in lane}
    with ThreadPoolExecutor(max(1, len(lanes))) as pool:
        for centre, lane in lanes.items():
            pool.submit(_tell_all, Broken(centre, hub, testbed, session_environment), lane, outcomes)
        yield outcomes


def _tell_all(centre: Broken, lane: list[tuple[str, Callable[[Broken], None]]], outcomes: Stories) -> None:
    for name, tell in lane:
        with suppress(AssertionError):  # what the last story broke may need a while
            centre.usable()
        began = time.monotonic()
        _set(outcomes[name], partial(tell, centre))
        log.info("%s: %s took %.1f s", centre.id, name, time.monotonic() - began)


def _set(outcome: Future[None], tell: Callable[[], None]) -> None:
    try:
        outcome.set_result(tell())
    except BaseException as error:
        outcome.set_exception(error)
