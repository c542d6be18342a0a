"""Runs node and the JavaScript tools that `make tools` installs; without them a test fails with what to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from scnet_hub.setup.environment import Environment
from scnet_hub.setup.tools import INSTALL, Tools

ROOT = Path(__file__).resolve().parents[2]
LINT = "eslint/bin/eslint.js"
TYPES = "typescript/bin/tsc"


def run_node(*words: str | Path, stdin: str = "") -> str:
    """What node writes to stdout, run in the checkout; its end in error fails the test with its whole output."""
    tools = Tools(Environment(ROOT))
    program = tools.node()
    if program is None:
        pytest.fail(
            f"There is no node of version 20 or newer. Run `make setup` in {ROOT}, or install one (apt install nodejs)."
        )
    if not tools.done():
        pytest.fail(f"The JavaScript tools are not installed, or not as their lock says. {INSTALL}")
    done = subprocess.run(
        [program, *words], cwd=ROOT, input=stdin, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def tool(name: str) -> Path:
    """The program of a tool, for `run_node`."""
    return Path(sys.prefix) / "share" / "scnet" / "javascript" / "node_modules" / name
