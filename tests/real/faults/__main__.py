"""`python -m tests.real.faults --seed 7 --minutes 60`: breaks a federation over the testbed and reports; exits with 1
after a violation."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from tests.real.environments import KEPT, standing
from tests.real.testbed import Place, needs
from tests.real.testbed.layout import CENTRES, HERE
from tests.real.testbed.testbed import shared

from .catalogue import FAULTS
from .checker import Allowed, check
from .report import markdown, report
from .run import run
from .schedule import plan
from .workload import Mix


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.real.faults", description="Break a real federation under load, and check what held."
    )
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument(
        "--labs", type=int, default=Mix.labs, help="real JupyterLabs among the seats (2-3 s of CPU each start)"
    )
    parser.add_argument("--seats", type=int, default=Mix().seats, help="sessions at a time")
    parser.add_argument("--without", nargs="*", default=[], choices=FAULTS, metavar="FAULT", help="faults to leave out")
    parser.add_argument("--only", nargs="*", default=[], choices=FAULTS, metavar="FAULT", help="leave out all others")
    parser.add_argument(
        "--folder", type=Path, help="where report, operations log and the processes' logs go (default: a new one)"
    )
    parser.add_argument(
        "--place", default="", metavar="PREFIX:NETWORK", help="a testbed beside the usual one, for example other:10.80"
    )
    arguments = parser.parse_args()
    if lacking := {centre: why for centre in CENTRES if (why := needs.missing(centre))}:
        sys.exit(
            f"{'; '.join(f'{centre}: {why}' for centre, why in lacking.items())}.\nAs root, on Debian: "
            f"{needs.install_line()}"
        )
    folder = (arguments.folder or Path(tempfile.mkdtemp(prefix="scnet-faults-"))).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    prefix, _, network = arguments.place.partition(":")
    without = [name for name in FAULTS if name in arguments.without or (arguments.only and name not in arguments.only)]
    seconds = arguments.minutes * 60
    steps = plan(arguments.seed, seconds, without=without)
    base = replace(Mix(), labs=arguments.labs, seed=arguments.seed)
    mix = replace(base, batch=max(0, base.batch + arguments.seats - base.seats))
    began = time.monotonic()

    def say(words: str) -> None:
        print(f"[{time.monotonic() - began:5.0f}] {words}", flush=True)

    with shared(place=Place(prefix, network) if prefix else HERE) as testbed:
        environment = standing(KEPT / "environments")
        work = run(testbed, environment, steps, seconds, folder, mix=mix, allowed=Allowed(), say=say)
        seen, lines = asyncio.run(work)
    violations = check(seen)
    document = report(arguments.seed, arguments.minutes, lines, seen, violations)
    (folder / "report.json").write_text(json.dumps(document, indent=1))
    (folder / "report.md").write_text(markdown(document))
    print(f"\n{markdown(document)}")
    for one in violations:
        print(f"VIOLATED {one.invariant}: {one.session} {one.words}")
    print(f"\nReport, operations log and logs: {folder}")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
