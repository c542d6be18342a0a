"""Fixtures of the suite for a live centre: `--centre-page FILE` names its `centre.toml`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from ..centres import Centre
from ..standard.centre import parse_centre


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--centre-page", required=True, help="The centre.toml of the centre to check.")


@pytest.fixture(scope="module")
def centre(request: pytest.FixtureRequest) -> Centre:
    page = Path(request.config.getoption("--centre-page"))
    return Centre.of(parse_centre(page.read_text(), source=str(page)))


@pytest.fixture(scope="module")
def deaf(centre: Centre) -> Centre:
    """The same centre, its scheduler not to be reached."""
    way = centre.spec.transport
    changes = (
        {"socket": f"{way.socket}.nowhere"}
        if way.kind == "embedded"
        else {"environment": {**way.environment, "PATH": "/nonexistent"}, "path": ""}
    )
    return Centre.of(centre.spec.model_copy(update={"transport": way.model_copy(update=changes)}))


@pytest.fixture(scope="module")
def folder(centre: Centre) -> str:
    """Where the suite's jobs may write, at the centre."""
    return f"{centre.spec.session.directory}/conformance"


@pytest.fixture(scope="module")
def shortest() -> timedelta:
    """The shortest walltime that the scheduler keeps to."""
    return timedelta(minutes=1)
