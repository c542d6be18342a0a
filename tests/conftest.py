"""What all tests share: Hypothesis without clocks (this may run beside anything), short folders for unix sockets, real
centres."""

import asyncio
import gc
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.builders.clock import VirtualLoop

pytest_plugins = [
    "tests.real.testbed.fixtures",
    "tests.real.environments",
    "tests.federation.world",
    "tests.builders.postgres",
]

settings.register_profile("scnet", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("scnet")


# What stands on the real centres of a testbed, of which each test process has its own. A testbed waits most of the
# time, so these run in three lines, beside everything else; the centre that enrolment breaks is of its own.
LINES = {"faults": "testbed 2", "test_conformance_real.py": "testbed 2", "enrolment": "enrolment"}
NEEDS_IT = re.compile(r"\b(testbed|session_environment)\b")


# What takes longest, the longest first: what begins last decides when a run ends. Lines on real centres mostly wait, so
# they begin beside tests that compute. From `--durations=0` of a whole run.
LONGEST = (
    "testbed 2",
    "tests/unit/ledger/test_invariants.py",
    "tests/unit/metering/test_intake.py",
    "tests/system/hub/test_rejoin.py",
    "tests/unit/ledger/test_settlement.py",
    "tests/system/demo/test_main_job.py",
    "tests/system/demo/test_wheel.py",
    "tests/unit/ledger/test_usage.py",
    "tests/system/hub/test_start_page_browser.py",
    "tests/unit/services/test_quotas.py",
    "tests/unit/client/test_clusters.py",
    "tests/unit/ledger/test_pricing.py",
    "testbed 1",
    "enrolment",
)
# `make test-quick` leaves these out: they need root, services, a browser or processes by the dozen.
SYSTEM = {"system", "real", "dask", "transport"}
SLOW = re.compile(
    r"/(test_(embedded|conformance|real|notebooks|setup|saved|browser|overload|locked|clusters)\w*|\w+_browser)\.py$"
)


class Together(LoadScopeScheduling):  # type: ignore[misc]  # its base is untyped
    """Which tests may not run at the same time (`make test` runs two at a time): those of a file, and those on one
    testbed. Not by marks: the xdist of now writes its groups into a field that the pytest of now does not read."""

    def _split_scope(self, nodeid: str) -> str:
        return together(nodeid.partition("::")[0])


@cache
def together(file: str) -> str:
    path = Path(__file__).parents[1] / file
    if "real" not in Path(file).parts and not NEEDS_IT.search(path.read_text()):
        return file
    return next((line for part, line in LINES.items() if part in Path(file).parts), "testbed 1")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Together:
    config.option.loadscopereorder = False  # by the number of tests; ours is the order below
    return Together(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if quick(item):
            item.add_marker("quick")
    if hasattr(config, "workerinput"):
        places = {scope: place for place, scope in enumerate(LONGEST)}
        items.sort(key=lambda item: places.get(together(item.nodeid.partition("::")[0]), len(places)))


def quick(item: pytest.Item) -> bool:
    """Whether it needs nothing but Python, and takes well under a second."""
    file = item.nodeid.partition("::")[0]
    on_postgresql = "postgresql" in getattr(item, "callspec", SimpleNamespace(params={})).params.values()
    away = SYSTEM.intersection(Path(file).parts) or SLOW.search(file) or on_postgresql
    return not away and not any(item.get_closest_marker(name) for name in ("slow", "browser", "slurm"))


def pytest_collection_finish() -> None:
    """What is there by now stays: looking through it again and again for garbage takes a fifth of a run."""
    gc.collect()
    gc.freeze()


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """On which event loop an async test runs: `virtual_time` among its fixtures asks for one that waits for nothing."""
    return (
        {"virtual": VirtualLoop}
        if "virtual_time" in getattr(item, "fixturenames", ())
        else {"real": asyncio.new_event_loop}
    )


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder whose path is short enough for a unix socket in it (107 bytes), and which is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="sc-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
