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


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder whose path is short enough for a unix socket in it (107 bytes), and which is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="sc-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
