"""A pytest plugin: the fixture `testbed`, one for each test process, and a loud word about centres that this machine
can't have.

It uses the testbed that is up, or brings one up and ends it with the session. In CI (CI=true) a centre that can't stand
is a failure.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from . import needs
from .layout import CENTRES, HERE, Place
from .testbed import Testbed, shared

LEFT_OUT = pytest.StashKey[dict[str, str]]()


@pytest.fixture(scope="session")
def testbed(request: pytest.FixtureRequest) -> Iterator[Testbed]:
    """Four real centres, or what this machine can have of them. `need(testbed, "b")` in a test that uses one of
    them."""
    left_out = {centre: why for centre in CENTRES if (why := needs.missing(centre))}
    request.config.stash[LEFT_OUT] = left_out
    if left_out and os.environ.get("CI") == "true":
        pytest.fail(
            f"Real centres can't stand here: {_words(left_out)}. As root: {needs.install_line()}", pytrace=False
        )
    standing = "".join(centre for centre in CENTRES if centre not in left_out)
    if not standing:
        pytest.skip(f"no real centres: {_words(left_out)}")
    with shared(standing, place=place_of(os.environ.get("PYTEST_XDIST_WORKER", ""))) as testbed:
        yield testbed


def place_of(worker: str) -> Place:
    """Where a test process has its testbed: each has its own, so that what one breaks, no other meets."""
    number = int(worker.removeprefix("gw") or 0)
    return Place(f"scnet{number}", f"10.{100 + number}") if number else HERE


def need(testbed: Testbed, *centres: str) -> None:
    """Skips a test whose centres were left out."""
    absent = {centre: needs.missing(centre) for centre in centres if centre not in testbed.centres}
    if absent:
        pytest.skip(f"no real centres: {_words(absent)}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    left_out = config.stash.get(LEFT_OUT, {})
    if any("no real centre" in str(skipped.longrepr) for skipped in terminalreporter.stats.get("skipped", [])):
        # the tests ran in other processes
        left_out = {centre: why for centre in CENTRES if (why := needs.missing(centre))}
    if left_out:
        terminalreporter.write_sep("=", "REAL CENTRES LEFT OUT", red=True, bold=True)
        terminalreporter.write_line(_words(left_out))
        terminalreporter.write_line(
            f"Nothing that needs them was tested. As root, on Debian: {needs.install_line(''.join(left_out))}"
        )


def _words(left_out: dict[str, str]) -> str:
    return "; ".join(f"{centre} ({CENTRES[centre].kind}): {why}" for centre, why in left_out.items())
