"""Running embedded centres in short folders, ended with all their jobs: one for each test, or one for the tests of a
file."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scnet_hub.demo.embedded import EmbeddedCentre, Settings

SETTINGS = Settings(name="alpha", index=9, nodes=2, cores=4, memory=8 * 2**30, gpus=2, gpu_model="a100", kill_wait=0.3)


@contextmanager
def started(home: Path) -> Iterator[EmbeddedCentre]:
    centre = EmbeddedCentre(home, SETTINGS)
    centre.start()
    try:
        yield centre
    finally:
        centre.stop()


@pytest.fixture
def embedded(short_path: Path) -> Iterator[EmbeddedCentre]:
    with started(short_path / "c") as centre:
        yield centre


@pytest.fixture(scope="module")
def standing() -> Iterator[EmbeddedCentre]:
    """For tests that leave the centre as it was, but for ended jobs."""
    folder = Path(tempfile.mkdtemp(prefix="sc-"))
    with started(folder / "c") as centre:
        yield centre
    shutil.rmtree(folder, ignore_errors=True)
