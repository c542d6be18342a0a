"""What all tests share: Hypothesis without clocks (this may run beside anything), short folders for unix sockets, real centres."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.testbed.fixtures", "tests.environments", "tests.world"]

settings.register_profile("scnet", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("scnet")


# What stands on the real centres of the testbed, of which there is one: these run one after the other, beside everything else.
ON_THE_TESTBED = ("real", "testbed", "faults", "enrolment")
NEEDS_IT = {"testbed", "session_environment", "alpha"}


@pytest.hookimpl(wrapper=True)  # before xdist reads the marks, which it does first of all that are no wrappers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Says which tests may not run at the same time (`make test` runs two at a time): those of a file, and those on the testbed."""
    for item in items:
        on_it = item.path.parent.name in ON_THE_TESTBED or NEEDS_IT.intersection(getattr(item, "fixturenames", ()))
        item.add_marker(pytest.mark.xdist_group("testbed" if on_it or "faults" in item.path.parts else item.path.name))
    yield


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder whose path is short enough for a unix socket in it (107 bytes), and which is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="sc-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
