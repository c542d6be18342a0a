"""Schemathesis tries the whole OpenAPI document, as a member and as an operator.

Checks that are left out, each for a false alarm:

- positive_data_acceptance: text of the right length can still be no time in the range and no size of memory: 400, in
  words.
- unsupported_method: a path's placeholder matches another call's literal name, which has other methods
  (`decisions/log`).
- ensure_resource_availability, use_after_free: they take any POST and DELETE for the making and the end of what a GET
  reads. A stopped
  session stays readable, and a link to an account has no address of its own.
- object_level_authorization: it wants two users who see nothing of each other; an operator sees all.

`SCNET_API_EXAMPLES=100` (make soak) tries further phases with so many examples of each call; without it, the edges of
its schema.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from scnet_hub.adapters.db.database import Database
from scnet_hub.broker.app import calls

from .serving import serving

EXAMPLES = int(os.environ.get("SCNET_API_EXAMPLES", "0"))
# 502 and 503 are declared refusals: of a centre that can't be asked, and of a broker with too much to do. 500 is a
# fault.
SETTINGS = """
[checks]
positive_data_acceptance.enabled = false
unsupported_method.enabled = false
ensure_resource_availability.enabled = false
use_after_free.enabled = false
object_level_authorization.enabled = false
not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", "502", "503"]
[phases.coverage]
unexpected-methods = ["put"]
"""
HOW = (
    "--generation-deterministic",
    "--continue-on-failure",
    "--no-color",
    "--warnings",
    "off",
    "--request-timeout",
    "60",
)
PHASES = (
    ("--phases", "examples,coverage,fuzzing,stateful", "--max-examples", f"{EXAMPLES}")
    if EXAMPLES
    else ("--phases", "coverage")
)


@pytest.mark.parametrize("person", ["ada", "olga"])
def test_every_call_keeps_to_the_document(person: str, tmp_path: Path) -> None:
    (tmp_path / "openapi.json").write_text(json.dumps(calls().openapi()))
    (tmp_path / "schemathesis.toml").write_text(SETTINGS)
    database = Database(f"sqlite:///{tmp_path / 'broker.sqlite'}")
    database.open()
    with closing(database), serving(database) as url:
        where = ("openapi.json", "--url", url, "--header", f"Authorization: Bearer {person}")
        command = [sys.executable, "-m", "schemathesis.cli", "run", *where, *PHASES, *HOW]
        tried = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=3600 if EXAMPLES else 300)
    assert tried.returncode == 0, tried.stdout[-8000:] + tried.stderr[-2000:]
