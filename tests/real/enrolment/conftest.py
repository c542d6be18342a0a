"""Fixtures of enrolment: the real sshd of the transport's tests, and a real centre of its own, which may be broken."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real import testbed as tb
from tests.real.testbed import needs
from tests.unit.adapters.transport.sshd import sshd

__all__ = ["sshd"]
PLACE = tb.Place("scbroken", "10.90")


@pytest.fixture(scope="package")
def alpha(session_environment: Path, environments: Path) -> Iterator[tb.Testbed]:
    """Centre a alone, with the session environment where its page says; its folder is a state folder."""
    if why := needs.missing("a"):
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"no real centre: {why}")
    with tb.shared("a", place=PLACE) as testbed:
        testbed.bind(session_environment, "/opt/scnet/session")
        ports = {
            "host": testbed.hub,
            "public": secrets.choice(range(20000, 29000)),
            "hub": 1,
            "proxy_api": 2,
            "broker": 3,
        }
        (testbed.folder / "ports.json").write_text(json.dumps(ports))
        (testbed.folder / "environments").symlink_to(environments)
        yield testbed
