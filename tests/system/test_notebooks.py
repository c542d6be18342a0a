"""The tutorial notebooks run top to bottom, and say what they should, against a fake broker that really starts the
workers."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter

from tests.builders.fakes.broker import FakeBroker, until
from tests.unit.client.panels import samples

REPO = Path(__file__).resolve().parents[2]
NOTEBOOKS = REPO / "notebooks"


@pytest.fixture
def broker(monkeypatch, tmp_path) -> Iterator[FakeBroker]:
    with FakeBroker() as fake:
        fake.sessions["lab"] = samples.session(id="lab")
        for name, value in {**fake.environment(), "PYTHONPATH": str(REPO), "HOME": str(tmp_path)}.items():
            monkeypatch.setenv(name, value)
        for name in ("SCNET_TOKEN", "JUPYTERHUB_SERVICE_PREFIX", "JUPYTERHUB_SERVICE_URL", "JUPYTERHUB_SERVER_NAME"):
            monkeypatch.delenv(name, raising=False)
        os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        yield fake


def run(name: str) -> Any:
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
    NotebookClient(notebook, timeout=120, kernel_name="python3", store_widget_state=False).execute()
    return notebook


def printed(notebook: Any) -> str:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "\n".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs)


def test_first_session_says_who_where_why_and_how_much(broker):
    text = printed(run("01-first-session.ipynb"))
    assert "You are ada, in project climate." in text
    assert "This session runs at Alpha on a-node-3" in text
    assert "SCNet · 2 of 2 centres up" in text
    assert "Monsoon ensembles: 1,000.00 credits granted" in text and "available     463.0000" in text


def test_dask_on_real_data_finds_the_late_airlines_and_cleans_up(broker):
    notebook = run("02-dask-on-real-data.ipynb")
    text = printed(notebook)
    assert "The mean flight left 12.6 minutes late." in text
    assert "Alpha starts it now." in text
    assert "Frontier Airlines" in "".join(
        output.get("data", {}).get("text/html", "") for cell in notebook.cells for output in cell.get("outputs", [])
    )
    until(lambda: not broker.alive(), 20)
    assert [one["name"] for one in broker.live()] == [""]  # the lab itself


def test_tuning_a_model_finds_settings_on_the_cluster_and_cleans_up(broker):
    text = printed(run("03-tune-a-model.ipynb"))
    assert "1198 digits to learn from, 48 fits." in text
    assert re.search(r"Best settings: .*; 9\d\.\d% of the unseen digits are recognised\.", text)
    until(lambda: not broker.alive(), 20)
    assert [one["name"] for one in broker.live()] == [""]  # the lab itself


def test_an_exported_panel_is_the_snapshot_and_loads_no_widget_code(broker):
    page, _ = HTMLExporter().from_notebook_node(run("01-first-session.ipynb"))
    assert "2 of 2 centres up" in page and "<caption>Centres</caption>" in page
    assert not re.search(r"@jupyter-widgets/html-manager|embed-amd", page)


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_are_kept_without_outputs(path):
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert cells and all(not cell.outputs and cell.execution_count is None for cell in cells)
