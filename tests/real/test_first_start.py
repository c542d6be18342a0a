"""A batch job that waits at two real Slurms, both of which start it at once: its program runs once, and the other job
ends before."""

from __future__ import annotations

from typing import Any

import pytest

from tests.real import testbed as tb
from tests.real.testbed.fixtures import need
from tests.real.testbed.layout import CENTRES
from tests.system.demo.conftest import Running, wait_for

pytestmark = pytest.mark.slow
Json = dict[str, Any]
FEDERATION = """\
name = "Two Slurms"
centres = ["centres/*.toml"]
[[project]]
id = "climate"
members = ["ada", "grace"]
grants = { first = 1000 }
quota = { sessions = 20, cores = 40 }
centres = ["a", "b"]
[second_chance]
job_patience = 4
"""
PROGRAM = 'echo "$SCNET_CENTRE" >>ran; cat ran; sleep 3'


@pytest.mark.usefixtures("nothing_left")
def test_a_job_that_two_centres_start_runs_once(hub: Running, testbed: tb.Testbed) -> None:
    need(testbed, "a", "b")
    with hub.as_hub("ada") as broker:

        def submit(*argv: str, **options: Any) -> Json:
            started: Json = broker.post("sessions", json={"kind": "batch", "argv": list(argv), **options}).json()
            return started

        def until(session: Json, number: int, *states: str) -> Json:
            def there() -> Json | None:
                one: Json = broker.get(f"sessions/{session['id']}").json()
                copies = [copy["state"] for copy in one["copies"]]
                return one if len(copies) == number and {*copies} <= {*states} else None

            found: Json = wait_for(there, 90)
            return found

        for centre in "ab":  # a job has called home from each
            until(submit("true", centre=centre, name=f"at-{centre}"), 1, "charged")
        fillers = {centre: _fill(testbed, centre) for centre in "ab"}
        row = submit("sh", "-c", PROGRAM, cores=2, walltime="5m")
        until(row, 2, "queued")
        for centre, job in fillers.items():
            testbed.at(centre, ["scancel", job], check=True)
        charged = until(row, 2, "charged")
        assert charged["state"] == "charged" and charged["end_reason"] == "The program ended by itself."
        assert broker.get(f"sessions/{row['id']}/log").json()["log"].split() == [charged["centre"]]
        balance = next(one for one in broker.get("balances").json()["balances"] if one["id"] == "climate")
        assert balance["held"] == 0
    ran = [_ran(testbed, centre, row["id"]) for centre in "ab"]
    assert sorted(ran) == ["", charged["centre"]]


def _fill(testbed: tb.Testbed, centre: str) -> str:
    """Takes all nodes of a centre; returns the job's id."""
    layout = CENTRES[centre]
    words = ["sbatch", "--parsable", "--exclusive", f"--nodes={len(layout.nodes)}", "--wrap=sleep 600", "-t", "20"]
    words += ["-p", layout.partition, "-o", "/dev/null"]
    job = testbed.at(centre, words, account=testbed.accounts[centre]["grace"], check=True).stdout.strip()
    wait_for(lambda: testbed.at(centre, ["squeue", "-h", "-j", job, "-o", "%t"]).stdout.strip() == "R", 60)
    return job


def _ran(testbed: tb.Testbed, centre: str, session: str) -> str:
    """What the program wrote at that centre, if it ran there."""
    account = testbed.accounts[centre]["ada"]
    path = f"/home/{account}/scnet-jobs/{session}/ran"
    return testbed.at(centre, ["sh", "-c", 'cat "$0" 2>/dev/null || true', path]).stdout.strip()
