"""Stock batchspawner runs on the embedded centre as on any Slurm: the peer of benchmarks/spawn.py starts a Lab
there."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from scnet_hub.demo.run import Setup, running


async def test_a_stock_slurm_spawner_starts_a_lab_on_the_embedded_centre(
    short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(__file__).parents[3] / "benchmarks" / "spawn.py"
    monkeypatch.syspath_prepend(path.parent)
    spec = importlib.util.spec_from_file_location("spawn_benchmark", path)
    assert spec and spec.loader
    benchmark = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = benchmark
    spec.loader.exec_module(benchmark)
    async with (
        running(short_path, Setup(background=False), say=print) as demo,
        benchmark.stock_hub(demo, "alpha", lean=True) as url,
    ):
        assert await benchmark.stock(url, demo.state.passwords["ada"]) > 0
