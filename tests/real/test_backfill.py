"""What Slurm's backfill keeps for a job that waits: its nodes as a whole, by which `backfill_plan` plans them."""

from __future__ import annotations

import pytest

from tests.real import testbed as tb
from tests.real.testbed.fixtures import need
from tests.real.testbed.layout import CENTRES
from tests.system.demo.conftest import wait_for

pytestmark = pytest.mark.slow
CENTRE, NODE = "b", "b1"


def test_slurm_keeps_the_whole_node_of_a_job_that_waits(testbed: tb.Testbed) -> None:
    """All but two cores of a node are busy for ten minutes, then four are wanted. Two cores for longer than ten minutes
    would fit beside both, and don't start; for less time they do."""
    need(testbed, CENTRE)
    cores = CENTRES[CENTRE].cores
    jobs = [_submit(testbed, cores - 2, 10)]
    wait_for(lambda: _state(testbed, jobs[0]) == "R", 60)
    jobs += [_submit(testbed, 4, 60), _submit(testbed, 2, 30), _submit(testbed, 2, 5)]
    wait_for(lambda: _state(testbed, jobs[3]) == "R", 120)  # backfill has looked at all of them, in this order
    assert [_state(testbed, job) for job in jobs[1:3]] == ["PD", "PD"]
    testbed.at(CENTRE, ["scancel", *jobs], check=True)


def _submit(testbed: tb.Testbed, cores: int, minutes: int) -> str:
    words = ["sbatch", "--parsable", f"--nodelist={NODE}", "--nodes=1", "--ntasks=1", f"--cpus-per-task={cores}"]
    words += [f"--time={minutes}", "--mem=100", "--wrap=sleep 600", "-o", "/dev/null", "-p", CENTRES[CENTRE].partition]
    return testbed.at(CENTRE, words, account=testbed.accounts[CENTRE]["grace"], check=True).stdout.strip()


def _state(testbed: tb.Testbed, job: str) -> str:
    return testbed.at(CENTRE, ["squeue", "-h", "-j", job, "-o", "%t"]).stdout.strip()
