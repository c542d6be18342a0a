"""Tests that the page of faults by row names only existing tests, and every test of this folder."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[4]
PAGE = ROOT / "docs/explanation/faults-by-row.md"


def written(folder: Path) -> set[str]:
    return {
        node.name
        for path in folder.rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


def test_every_row_names_a_test_and_every_test_is_a_rows() -> None:
    named = set(re.findall(r"`(test_[a-z0-9_]+)`", PAGE.read_text()))
    stories = {name for path in Path(__file__).parent.glob("test_*.py") if path != Path(__file__) for name in _of(path)}
    assert stories and not stories - named
    assert not named - written(ROOT / "tests")


def _of(path: Path) -> set[str]:
    return {
        node.name
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }
