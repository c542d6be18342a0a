"""Fixtures of the suite for a live centre: `--centre-page FILE` names its `centre.toml`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from ..adapters.centre import Centre
from ..adapters.transport.transport import Means
from ..domain.standard.centre import parse_centre


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--account", default="", help="The account at the centre that the suite's jobs use.")
    parser.addoption("--state-folder", default=".", help="The folder that holds secrets/ssh_ca, for a centre over SSH.")
    parser.addoption("--centre-page", required=True, help="The centre.toml of the centre to check.")


@pytest.fixture(scope="module")
def centre(request: pytest.FixtureRequest) -> Centre:
    page = Path(request.config.getoption("--centre-page"))
    means = Means(folder=Path(request.config.getoption("--state-folder")))
    return Centre.of(parse_centre(page.read_text(), source=str(page)), means)


@pytest.fixture(scope="module")
def account(request: pytest.FixtureRequest) -> str:
    return str(request.config.getoption("--account"))


@pytest.fixture(scope="module")
def deaf(request: pytest.FixtureRequest, centre: Centre) -> Centre:
    """Returns the same centre with an unreachable scheduler."""
    way = centre.spec.transport
    changes: dict[str, object] = {"environment": {"PATH": "/nonexistent"}, "path": ""}
    if way.kind == "embedded":
        changes = {"socket": f"{way.socket}.nowhere"}
    if way.kind == "ssh":
        changes = {"port": 1}
    means = Means(folder=Path(request.config.getoption("--state-folder")))
    return Centre.of(centre.spec.model_copy(update={"transport": way.model_copy(update=changes)}), means)


@pytest.fixture(scope="module")
def folder(centre: Centre, account: str) -> str:
    """Returns the folder at the centre in which the suite's jobs may write."""
    return f"{centre.spec.session.directory.format(account=account)}/conformance"


@pytest.fixture(scope="module")
def shortest() -> timedelta:
    """Returns the shortest walltime that the scheduler enforces."""
    return timedelta(minutes=1)
