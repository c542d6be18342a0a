"""What a grid's log costs the simulator: python benchmarks/grid_log.py [--days 0.5] [--centres 22] [--policy scnet]
[--json]

A grid's log is one of very many small jobs: here 190,000 of one core in eleven days, as `lines` makes them, beside the
simulator's own made-up machines (Lublin-Feitelson), in CPU seconds for a simulated week and for a million background
jobs, in one run.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from random import Random
from typing import Any

from scnet_hub.simulator import POLICIES, Scenario, Site, simulate, sites_of, workload_of

Json = dict[str, Any]
JOBS, DAYS, DAY = 190_000, 11.0, 86_400.0
MEDIAN_RUN, SPREAD, LONGEST = 2700.0, 1.5, 3 * DAY
MOST = 60.0  # CPU seconds for a simulated week


def lines(jobs: int = JOBS, days: float = DAYS, seed: int = 1) -> Iterator[str]:
    """The lines of a log in SWF: jobs of one core, more by day than by night, most of them short."""
    rng = Random(f"{seed}/grid")
    ats: list[float] = []
    while len(ats) < jobs:
        at = rng.uniform(0, days * DAY)
        if rng.random() * 1.3 < 1 + 0.3 * math.cos(2 * math.pi * (at % DAY / DAY - 14 / 24)):
            ats.append(at)
    for number, at in enumerate(sorted(ats), 1):
        run = min(LONGEST, max(10.0, rng.lognormvariate(math.log(MEDIAN_RUN), SPREAD)))
        yield f"{number} {int(at)} 0 {int(run)} 1 -1 -1 1 -1 -1 1 {rng.randrange(200)} -1 -1 1 1 -1 -1"


def measured(name: str, sites: list[Site], scenario: Scenario, policy: str) -> list[Json]:
    workload = workload_of(scenario, sites)
    jobs = sum(len(centre.arrivals) for centre in workload.centres)
    began = time.process_time()
    simulate(workload, policy)
    spent = time.process_time() - began
    week = spent * 7 / scenario.days
    return [
        {
            "what": f"{name}: a simulated week",
            "unit": "s",
            "value": round(week, 1),
            "most": MOST,
            "holds": week <= MOST,
        },
        {
            "what": f"{name}: a million background jobs",
            "unit": "s",
            "value": round(spent / jobs * 1e6, 1),
            "most": None,
            "holds": True,
        },
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=float, default=0.5)
    parser.add_argument("--centres", type=int, default=22)
    parser.add_argument("--policy", choices=POLICIES, default="scnet")
    parser.add_argument("--json", action="store_true", help="one JSON document on one line")
    options = parser.parse_args()
    scenario = Scenario(centres=options.centres, days=options.days)
    rows = measured("made up", [], scenario, options.policy)
    rows += measured("grid", sites_of(lines(), "grid", Random("1")), scenario, options.policy)
    for row in rows if not options.json else ():
        bound = f"at most {row['most']:g}: {'holds' if row['holds'] else 'FAILS'}" if row["most"] else ""
        print(f"{row['what']:40} {row['value']:>8.1f} {row['unit']} {bound}".rstrip())
    if options.json:
        print(json.dumps({"numbers": rows, "holds": all(row["holds"] for row in rows)}))


if __name__ == "__main__":
    main()
