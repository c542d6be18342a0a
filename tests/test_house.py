"""The house rules that a program can count: no file grows too long, and few functions take many arguments."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "scnet_hub"
MOST_TOUCHED = {
    "a field of a request": 4,
    "a state of a session": 3,
    "a panel": 3,
    "a page of the hub": 3,
    "a dialect": 2,
    "a REST noun": 8,
    "a table of the database": 5,
}
LINES = 350
ARGUMENTS = 7
LONG: dict[str, int] = {}  # may only shrink
MANY = {  # may only shrink
    "client/clusters/__init__.py:dask",
    "client/clusters/cluster.py:__init__",
    "services/accounting/books.py:charge",
    "services/projects/allocations.py:approve",
}


def test_no_file_is_too_long() -> None:
    """A file that grows past it is split by subject."""
    lines = {str(path.relative_to(PACKAGE)): path.read_text().count("\n") for path in PACKAGE.rglob("*.py")}
    found = {name: count for name, count in lines.items() if count > LINES}
    assert not {name: count for name, count in found.items() if count > LONG.get(name, 0)}, "split these by subject"
    assert LONG.keys() == found.keys(), "take these out of LONG"


def test_few_functions_take_many_arguments() -> None:
    """What belongs together becomes one value."""
    found = {
        f"{path.relative_to(PACKAGE)}:{name}"
        for path in PACKAGE.rglob("*.py")
        for name, count in arguments(path.read_text())
        if count > ARGUMENTS
    }
    assert found == MANY


def arguments(source: str) -> Iterator[tuple[str, int]]:
    """Each function's name, and how many arguments it names, without `self` and `cls`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            named = [one.arg for one in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
            yield node.name, len([name for name in named if name not in ("self", "cls")])


def test_arguments_are_counted() -> None:
    assert list(arguments("class A:\n    def f(self, a, /, b, *c, d=1, **e): ...\nasync def g(): ...")) == [
        ("g", 0),
        ("f", 3),
    ]


def test_the_files_that_a_change_touches_are_there_and_few() -> None:
    """The table of docs/contributing.md; NAME stands for what is new."""
    page = (ROOT / "docs/contributing.md").read_text()
    table = page[page.index("**Files that a change touches.**") :].split("\n\n")[1]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    assert {change for change, *_ in rows} >= MOST_TOUCHED.keys()
    for change, count, which in rows:
        paths = [path for path in re.findall(r"`([\w./]+\.\w+)`", which) if "/" in path]
        assert len(paths) == int(count) <= MOST_TOUCHED.get(change, 3), change
        assert all((ROOT / path).exists() for path in paths if "NAME" not in path), change
