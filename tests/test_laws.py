"""Tests that the page of laws names only existing tests."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LAWS = ROOT / "docs" / "explanation" / "laws.md"


def test_every_law_names_tests_that_exist() -> None:
    written = {
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    named = set(re.findall(r"`(test_[a-z0-9_]+)`", LAWS.read_text()))
    assert named and not named - written


def test_there_are_nine() -> None:
    assert re.findall(r"^(\d)\. \*\*", LAWS.read_text(), re.MULTILINE) == list("123456789")
