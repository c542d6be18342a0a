"""Runs the suites of dask-jobqueue and batchspawner, from checkouts of theirs, with an embedded centre as the only
Slurm on PATH.

    python -m tests.system.stock --dask-jobqueue DIR --batchspawner DIR [--json]

Nothing in the checkouts is changed, and none of their code is here. What needs another scheduler than Slurm is not
applicable; of dask-jobqueue's tests one needs a folder `/shared_space` that may be written. Exits with 1 if a test
failed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from scnet_hub.demo.embedded import EmbeddedCentre, Settings

ROOT = Path(__file__).resolve().parents[3]
# Where the tests are in the checkout, and pytest's options of each run. With an environment dask-jobqueue's conftest
# runs that one's tests alone, without one all that need none.
DASK_JOBQUEUE = ("dask_jobqueue", [("-E", "slurm"), ()])
BATCHSPAWNER = (
    "batchspawner/tests",
    [("--noconftest", "-p", "tests.system.stock.fixtures", "-o", "addopts=", "-o", "asyncio_mode=auto")],
)


@dataclass
class Outcome:
    """How one suite went; reasons by the name of the test."""

    suite: str
    passed: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    not_applicable: dict[str, str] = field(default_factory=dict)


def run(checkout: Path, tests: str, options: Sequence[str], environment: Mapping[str, str], report: Path) -> Path:
    """One run of pytest in the checkout; its report in JUnit's form."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", f"--junitxml={report}", *options, tests]
    done = subprocess.run(command, cwd=checkout, env=dict(environment), stdout=sys.stderr)
    if not report.exists():
        sys.exit(f"pytest ended with {done.returncode} and no report. Is {checkout} a checkout with {tests}?")
    return report


def outcome(suite: str, reports: Sequence[Path]) -> Outcome:
    """What the reports say together: a test that one run left out and another ran counts as run."""
    found: dict[str, tuple[str, str]] = {}
    for case in (case for report in reports for case in ElementTree.parse(report).iter("testcase")):
        name = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"
        ending = _ending(case)
        if name not in found or found[name][0] == "skipped" or ending[0] == "failed":
            found[name] = ending
    of = lambda kind: {name: why for name, (how, why) in found.items() if how == kind}  # noqa: E731
    return Outcome(suite, len(of("passed")), of("failed"), of("skipped"))


def _ending(case: ElementTree.Element) -> tuple[str, str]:
    for kind, how in (("failure", "failed"), ("error", "failed"), ("skipped", "skipped")):
        if (found := case.find(kind)) is not None:
            return how, ((found.get("message") or "").splitlines() or [""])[0][:200]
    return "passed", ""


def environment_of(centre: EmbeddedCentre, checkout: Path) -> dict[str, str]:
    """Where the centre's commands are the first on PATH, and the checkout the first of Python's."""
    path = os.pathsep.join([str(centre.bin), str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {**os.environ, "PATH": path, "PYTHONPATH": os.pathsep.join([str(checkout), str(ROOT)])}


def words(found: Outcome) -> str:
    reasons: dict[str, int] = {}
    for reason in found.not_applicable.values():
        reasons[reason] = reasons.get(reason, 0) + 1
    lines = [
        f"{found.suite}: {found.passed} passed, {len(found.failed)} failed, {len(found.not_applicable)} not applicable"
    ]
    lines += [f"  failed: {name}: {why}" for name, why in found.failed.items()]
    lines += [f"  not applicable: {count} x {reason}" for reason, count in sorted(reasons.items())]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.system.stock", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dask-jobqueue", type=Path, metavar="DIR")
    parser.add_argument("--batchspawner", type=Path, metavar="DIR")
    parser.add_argument("--json", action="store_true", help="one JSON document on one line")
    given = parser.parse_args()
    wanted = {
        "dask-jobqueue": (given.dask_jobqueue, *DASK_JOBQUEUE),
        "batchspawner": (given.batchspawner, *BATCHSPAWNER),
    }
    if not any(checkout for checkout, *_ in wanted.values()):
        parser.error("give at least one checkout: --dask-jobqueue DIR, --batchspawner DIR")
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="sc-") as folder:
        centre = EmbeddedCentre(Path(folder) / "c", Settings(name="stock", nodes=2, cores=8, memory=16 * 2**30))
        centre.start()
        try:
            for suite, (checkout, tests, runs) in wanted.items():
                if checkout:
                    place = checkout.resolve()
                    reports = [
                        run(
                            place, tests, options, environment_of(centre, place), Path(folder) / f"{suite}-{number}.xml"
                        )
                        for number, options in enumerate(runs)
                    ]
                    outcomes.append(outcome(suite, reports))
        finally:
            centre.stop()
    print(json.dumps([asdict(one) for one in outcomes]) if given.json else "\n".join(words(one) for one in outcomes))
    return 1 if any(one.failed for one in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
