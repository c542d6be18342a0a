"""What all tests share: Hypothesis without clocks (this may run beside anything), short folders for unix sockets, real centres."""

import asyncio
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.builders.clock import VirtualLoop

pytest_plugins = ["tests.testbed.fixtures", "tests.environments", "tests.world", "tests.postgres"]

settings.register_profile("scnet", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("scnet")


# What stands on the real centres of the testbed, of which there is one: these run one after the other, beside everything else.
ON_THE_TESTBED = {"real", "testbed", "faults", "enrolment"}
NEEDS_IT = re.compile(r"\b(testbed|session_environment)\b")


class Together(LoadScopeScheduling):  # type: ignore[misc]  # its base is untyped
    """Which tests may not run at the same time (`make test` runs two at a time): those of a file, and those on the testbed. Not by
    marks: the xdist of now writes its groups into a field that the pytest of now does not read."""

    def _split_scope(self, nodeid: str) -> str:
        return together(nodeid.partition("::")[0])


@cache
def together(file: str) -> str:
    path = Path(__file__).parents[1] / file
    return "testbed" if ON_THE_TESTBED.intersection(Path(file).parts) or NEEDS_IT.search(path.read_text()) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Together:
    return Together(config, log)


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """On which event loop an async test runs: `virtual_time` among its fixtures asks for one that waits for nothing."""
    return {"virtual": VirtualLoop} if "virtual_time" in getattr(item, "fixturenames", ()) else {"real": asyncio.new_event_loop}


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder whose path is short enough for a unix socket in it (107 bytes), and which is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="sc-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
