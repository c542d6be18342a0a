"""All JavaScript of the checkout is linted, and its types hold: strictly in panels, less so in the hub's pages and the
Lab extension."""

from __future__ import annotations

import json
import re

from tests.builders.node import LINT, ROOT, TYPES, run_node, tool

CONFIG = ROOT / "extensions" / "javascript"


def test_the_linter_finds_nothing() -> None:
    run_node(
        tool(LINT),
        "-c",
        CONFIG / "eslint.config.js",
        "--no-config-lookup",
        "--max-warnings=0",
        "scnet_hub",
        "extensions",
        "tests",
    )


def test_the_types_of_every_script_hold() -> None:
    checked = [
        run_node(tool(TYPES), "-p", CONFIG / name, "--listFiles") for name in ("tsconfig.json", "tsconfig.pages.json")
    ]
    ours = {
        str(path)
        for room in ("scnet_hub", "extensions")
        for path in (ROOT / room).rglob("*.js")
        if "node_modules" not in path.parts
    }
    assert ours - set("".join(checked).splitlines()) == {str(CONFIG / "eslint.config.js")}


def test_the_tools_are_pinned_exactly() -> None:
    wanted = json.loads((CONFIG / "package.json").read_text())["devDependencies"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in wanted.values())
