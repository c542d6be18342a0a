"""Five minutes of faults over the four real centres under load: whatever breaks, the invariants hold."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.real import testbed as tb
from tests.real.testbed import faults as testbed_faults
from tests.real.testbed.fixtures import need

from .actions import ACTIONS, KNOWN
from .catalogue import FAULTS
from .checker import Allowed, check
from .report import markdown, report
from .run import run
from .schedule import plan
from .workload import Mix

SEED, MINUTES = 7, 5


@pytest.mark.slow
def test_five_minutes_of_faults_lose_nothing_and_bill_nothing_twice(
    testbed: tb.Testbed, session_environment: Path, tmp_path: Path
) -> None:
    need(testbed, *"abcd")
    steps, mix = plan(SEED, MINUTES * 60), replace(Mix(), labs=1, seed=SEED)
    work = run(testbed, session_environment, steps, MINUTES * 60, tmp_path, mix=mix, allowed=Allowed(), say=print)
    seen, lines = asyncio.run(work)
    violations = check(seen)
    document = report(SEED, MINUTES, lines, seen, violations)
    print(markdown(document))
    (tmp_path / "report.json").write_text(json.dumps(document, indent=1))
    assert violations == []
    assert {step.name for step in steps} - {one.name for one in seen.broken} <= {"ctl-kill"}, "every fault was struck"
    assert document["most_live"] >= 35 and document["became_ready"] >= 60
    assert document["sightings"] >= 200
    assert len(seen.answers) >= 10 and all(answer.ok for answer in seen.answers)


def test_every_fault_and_every_opposite_is_something_that_can_be_done() -> None:
    named = {name for fault in FAULTS.values() for name in (fault.name, fault.opposite)}
    assert named == KNOWN
    assert not set(ACTIONS) & set(testbed_faults.FAULTS)
