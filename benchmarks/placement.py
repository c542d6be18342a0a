"""The numbers that placement is held to: python benchmarks/placement.py --trace LOG [--trace LOG] [--seeds 1,2]
[--quick] [--json] and the pictures of the docs: python benchmarks/placement.py --trace LOG --plot docs/images [--seeds
1] [--days 7]

Each is printed with its bound and whether it holds. Runs go one after the other on one core; with five seeds and whole
weeks it takes about an hour. Without --trace the logs are those in ../shared/traces if they are there, else machines
are made up.
--quick simulates two days instead of a week: it shows that all works, and its numbers are of a federation that has not
filled up yet.
--plot measures nothing: it draws how long requests wait by each policy, of the first seed.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import reporting

from scnet_hub.errors import ScnetError
from scnet_hub.simulator import POLICIES, Run, Scenario, Site, Workload, simulate, summary, waits, workload_of
from scnet_hub.simulator.logs import read
from scnet_hub.simulator.plot import svg
from scnet_hub.simulator.product import Product
from scnet_hub.simulator.run import SUBMIT

Json = dict[str, Any]
TRACES = Path(__file__).resolve().parents[2] / "shared/traces"
SECONDS, MEBIBYTES = 60, 1024


class Nobody(Product):
    """Nobody asks for a session: what the centres' own people wait without us."""

    def arrived(self, request: object) -> None:
        pass


def main() -> int:
    options = arguments()
    days = options.days or (2.0 if options.quick else 7.0)
    try:
        if options.plot:
            return plots(options.plot, options.seeds[0], sites(options.trace, options.seeds[0]), days)
        rows = [row for seed in options.seeds for row in of_seed(seed, sites(options.trace, seed), days)]
        rows += together(rows)
    except ScnetError as error:
        print(error, file=sys.stderr)
        return 1
    print(
        json.dumps({"numbers": rows, "holds": all(row["holds"] for row in rows)}, indent=2)
        if options.json
        else table(rows)
    )
    return 0


def arguments() -> argparse.Namespace:
    parser = reporting.arguments(__doc__)
    parser.add_argument("--trace", action="append", type=Path, help="a log in SWF; repeatable")
    parser.add_argument("--seeds", type=lambda text: [int(one) for one in text.split(",")], default=[1, 2, 3, 4, 5])
    parser.add_argument("--quick", action="store_true", help="two days instead of a week")
    parser.add_argument("--days", type=float, help="so many simulated days")
    parser.add_argument(
        "--plot", type=Path, metavar="FOLDER", help="write pictures of the waits there, and measure nothing"
    )
    return parser.parse_args()


def sites(paths: Sequence[Path] | None, seed: int) -> list[Site]:
    """As `scnet simulate` reads them, so that each number can be had from it too."""
    return [
        site for path in paths or sorted(TRACES.glob("*.swf")) for site in read(path, Random(f"{seed}/{path.name}"))
    ]


def of_seed(seed: int, known: Sequence[Site], days: float) -> Iterable[Json]:
    for part in (hot, moderate, many, broken, fair):
        yield from ({"seed": seed, **row} for row in part(seed, known, days))


def together(rows: Sequence[Json]) -> Iterable[Json]:
    """Of ratios of means those over all seeds: a single week's is made by a few hours of it."""
    found: dict[tuple[str, str], list[Json]] = {}
    for one in rows:
        if "parts" in one:
            found.setdefault((one["where"], one["what"]), []).append(one)
    for (where, what), ours in found.items():
        if len(ours) > 1:
            mine, theirs = (sum(one["parts"][side] for one in ours) for side in (0, 1))
            yield {"seed": "all", **row(where, what, mine / max(theirs, 1e-9), most=ours[0]["most"])}


def hot(seed: int, sites: Sequence[Site], days: float) -> list[Json]:
    workload = workload_of(Scenario(centres=22, load="hot", days=days, seed=seed, snapshot_age=60), sites)
    ours, used = timed(workload)
    ideal, told = summary(simulated(workload, "all_centres")), summary(ours)
    nobody = summary(Run(workload, Nobody).go())
    where = "22 centres, hot, snapshots 60 s"
    return [
        row(where, "p95 wait / all_centres", ratio(told, ideal, "wait_p95_s"), most=1.1),
        means(row(where, "mean wait / all_centres", ratio(told, ideal, "wait_mean_s"), most=1.5), told, ideal),
        row(where, "submissions per request", told["submissions_per_request"], most=1.4),
        row(where, "duplicate starts per request", told["duplicate_starts_per_request"], most=0.02),
        row(where, "share started within 60 s", told["started_60s"], least=0.85),
        row(where, "p90 range right", right(ours), least=0.85, most=0.95),
        row(where, "others' mean wait / without us", ratio(told, nobody, "background_wait_mean_s")),
        row(where, "others' mean wait / all_centres", ratio(told, ideal, "background_wait_mean_s")),
        row(where, f"CPU seconds for {days:g} days", used, most=SECONDS),
        row(
            where,
            "memory, MiB, at most so far",
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            most=MEBIBYTES,
        ),
    ]


def moderate(seed: int, sites: Sequence[Site], days: float) -> list[Json]:
    workload = workload_of(Scenario(centres=3, load="mod", days=days, seed=seed, snapshot_age=60), sites)
    told, ideal, oracle = (summary(simulated(workload, name)) for name in ("scnet", "all_centres", "oracle"))
    where = "3 centres, moderate"
    return [
        means(row(where, "mean wait / all_centres", ratio(told, ideal, "wait_mean_s"), most=1.2), told, ideal),
        row(where, "p95 wait / oracle", ratio(told, oracle, "wait_p95_s"), most=2.0),
    ]


def many(seed: int, sites: Sequence[Site], days: float) -> list[Json]:
    """Simulates a hundred centres. They fill up slowly; the bound was set by a day and a half."""
    workload = workload_of(Scenario(centres=100, load="hot", days=min(days, 1.5), seed=seed, snapshot_age=60), sites)
    told = summary(simulated(workload, "scnet"))
    return [row("100 centres, hot", "p99 wait, s", told["wait_p99_s"], most=SUBMIT + 1)]


def broken(seed: int, sites: Sequence[Site], days: float) -> list[Json]:
    scenario = Scenario(
        centres=22, load="tight", days=min(days, 3.0), seed=seed, snapshot_age=60, black_hole=True, outages=True
    )
    told = summary(simulated(workload_of(scenario, sites), "scnet"))
    where = "22 centres, tight, black hole and outages"
    return [
        row(where, "requests with a failed start", told["failed_start_share"], most=0.03),
        row(where, "requests given up", told["gave_up"], most=0),
    ]


def fair(seed: int, sites: Sequence[Site], days: float) -> list[Json]:
    """Measures how much longer the centres' own people wait because of our sessions, at a load that leaves room for
    all. Without room, 15 % more work lengthens every wait under any policy: `all_centres` shows by how much."""
    workload = workload_of(Scenario(centres=22, load="tight", days=days, seed=seed, snapshot_age=60), sites)
    told, nobody = summary(simulated(workload, "scnet")), summary(Run(workload, Nobody).go())
    ours = row(
        "22 centres, tight", "others' mean wait / without us", ratio(told, nobody, "background_wait_mean_s"), most=1.05
    )
    return [means(ours, told, nobody, "background_wait_mean_s")]


PICTURES = {
    "waits-22-hot": ("22 centres, hot", {"centres": 22, "load": "hot"}),
    "waits-3-moderate": ("3 centres, moderate", {"centres": 3, "load": "mod"}),
}


def plots(folder: Path, seed: int, sites: Sequence[Site], days: float) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    for name, (words, where) in PICTURES.items():
        workload = workload_of(Scenario(days=days, seed=seed, snapshot_age=60, **where), sites)
        found = {policy: waits(simulated(workload, policy)) for policy in POLICIES}
        title = f"{words}, snapshots up to 60 s old, {days:g} days, seed {seed}"
        (folder / f"{name}.svg").write_text(svg(found, title))
    return 0


def simulated(workload: Workload, policy: str) -> Run:
    reporting.note(
        f"seed {workload.scenario.seed}: {policy}, {workload.scenario.centres} centres, {workload.scenario.load} ..."
    )
    return simulate(workload, policy)


def timed(workload: Workload) -> tuple[Run, float]:
    began = time.process_time()
    run = simulated(workload, "scnet")
    return run, time.process_time() - began


def right(run: Run) -> float:
    router = run.router
    assert isinstance(router, Product)
    return router.kept / max(router.promises, 1)


def ratio(told: Json, other: Json, name: str) -> float:
    return float(told[name] / max(other[name], 1e-9))


def means(row: Json, told: Json, other: Json, name: str = "wait_mean_s") -> Json:
    return {**row, "parts": [told[name], other[name]]}


def row(where: str, what: str, value: float, *, least: float | None = None, most: float | None = None) -> Json:
    """A value in its bounds; both included. Without a bound it is told for what it is worth."""
    holds = (least is None or value >= least) and (most is None or value <= most)
    return {"where": where, "what": what, "value": round(value, 4), "least": least, "most": most, "holds": holds}


def table(rows: Sequence[Json]) -> str:
    lines, begun = [], ("", "")
    for one in rows:
        if (one["seed"], one["where"]) != begun:
            begun = one["seed"], one["where"]
            lines.append(f"\n{one['where']} (seed {one['seed']})")
        bounds = " and ".join(
            f"{word} {one[key]:g}" for key, word in (("least", "at least"), ("most", "at most")) if one[key] is not None
        )
        lines.append(f"  {judged(one)} {one['what']:34} {one['value']:>10,.3f}  {bounds}")
    return "\n".join([*lines, "", f"{sum(one['holds'] for one in rows)} of {len(rows)} hold."])


def judged(one: Json) -> str:
    if one["least"] is None and one["most"] is None:
        return "     "
    return "holds" if one["holds"] else "FAILS"


if __name__ == "__main__":
    sys.exit(main())
