"""The panels' JavaScript: its unit tests under node, how its files become one module, and that it says what the saved
form says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from scnet_hub.client import panels
from scnet_hub.client.panels import base, snapshot
from scnet_hub.client.panels.cluster import ClusterView
from tests.builders.fakes.broker import FakeBroker
from tests.builders.node import run_node

from . import samples as s

HERE = Path(__file__).parent


@pytest.fixture
def shown() -> Iterator[dict[str, Any]]:
    """A widget of each panel that shows all kinds of rows."""
    with FakeBroker() as broker, broker.client() as client:
        now = datetime.now(UTC)
        broker.centres, broker.sessions = s.centres(now), {one["id"]: one for one in s.sessions(now)}
        made = {name: panels.panel(name, client=client) for name in panels.names()}
        yield {**made, "cluster": ClusterView(s.cluster())}
        for one in made.values():
            one.close()


def test_the_unit_tests_under_node_pass() -> None:
    run_node("--test", *sorted(HERE.glob("*.test.mjs")))


@pytest.mark.parametrize("name", [*panels.names(), "cluster"])
def test_a_panels_files_become_one_module_that_imports_nothing(name: str, tmp_path: Path) -> None:
    module = tmp_path / f"{name}.mjs"
    module.write_text(base.script(name), encoding="utf-8")
    run_node("--check", module)  # two files that declare the same name are an error
    text = base.script(name)
    assert "import " not in text and text.count("\nexport ") == text.count("\nexport default ") == 1
    assert text.count("export class Table") == 0 and text.count("class Table") == 1


def test_each_file_comes_once_behind_those_that_it_imports() -> None:
    text = base.script("overview")
    marks = [
        text.index(one)
        for one in (
            "function framed",
            "function allocationsPart",
            "function centresPart",
            "function sessionsPart",
            "export default",
        )
    ]
    assert marks == sorted(marks) and text.count("function framed") == 1


class Tables(HTMLParser):
    """The texts of each table's cells, line by line."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tables: list[dict[str, Any]] = []
        self._at: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self._at.append(tag)
        if tag == "table":
            self.tables.append({"caption": "", "lines": []})
        elif tag == "tr":
            self.tables[-1]["lines"].append([])
        elif tag in ("th", "td"):
            self.tables[-1]["lines"][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self._at.pop()

    def handle_data(self, data: str) -> None:
        if "caption" in self._at:
            self.tables[-1]["caption"] += data
        elif {"th", "td"} & set(self._at):
            line = self.tables[-1]["lines"][-1]
            line[-1] = f"{line[-1]} {data}".strip()


def test_the_live_view_and_the_saved_form_say_the_same(shown: dict[str, Any]) -> None:
    """At the same moment; but for the column of buttons, which a saved form does not have."""
    live = json.loads(run_node(HERE / "draw.mjs", stdin=json.dumps({name: one.state for name, one in shown.items()})))
    for name, widget in shown.items():
        saved = Tables(snapshot.html(widget.state, widget.parts)).tables
        assert saved == [without_buttons(one) for one in live[name]], name


def without_buttons(table: dict[str, Any]) -> dict[str, Any]:
    wide = slice(-1 if table["lines"][0][-1] == "" else None)
    return {**table, "lines": [line[wide] for line in table["lines"]]}
