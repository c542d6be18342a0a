"""A running embedded centre in a short folder, ended with all its jobs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from scnet_hub.centres.embedded import EmbeddedCentre, Settings


@pytest.fixture
def embedded(short_path: Path) -> Iterator[EmbeddedCentre]:
    settings = Settings(name="alpha", index=9, nodes=2, cores=4, memory=8 * 2**30, gpus=2, gpu_model="a100", kill_wait=0.3)
    centre = EmbeddedCentre(short_path / "c", settings)
    centre.start()
    yield centre
    centre.stop()
