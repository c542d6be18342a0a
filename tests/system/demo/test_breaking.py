"""Tests `scnet demo --break` as a person would run it: processes die one by one and a notebook does not notice."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCNET = Path(sys.executable).parent / "scnet"


def test_a_notebook_computes_on_whatever_dies_and_is_charged_once() -> None:
    done = subprocess.run([SCNET, "demo", "--break", "--json"], capture_output=True, text=True, timeout=280)
    report = json.loads(done.stdout)
    assert done.returncode == 0 and report["ok"], f"{report}\n{done.stderr}"
    assert len(report["faults"]) == 6 and report["charged"] > 0
    for one in report["faults"]:
        assert one["steps"] > 0 and one["kernel_answers"] > 0 and one["pages"] > 0, one
        assert one["pages_failed"] == 0 or "proxy" in one["fault"], one
