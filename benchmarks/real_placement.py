"""Waits on real batch systems: python benchmarks/real_placement.py [--fed] [--requests 200] [--minutes 12] [--seed 1]
[--json]

Brings up the testbed's centres at a place of its own (two Slurms, Grid Engine, OAR), a federation over them, and other
people's jobs (`other_jobs.py`). Each round is one small batch request, the same by every policy, in an order that is
drawn anew, seconds apart:

- round_robin: pinned to the next centre in turn;
- least_loaded: pinned to the centre with the lowest (used + queued) / all cores by the broker's own view;
- scnet: not pinned.

`--fed`: centres a and b, joined in Slurm's own federation (`slurm_federation.py`) at the same time: `slurm_federation`
submits the same job there by `sbatch`, alternately at a and b, and Slurm makes a sibling of it at both; `scnet` chooses
between the two as ever.

Wait is from the accepted POST (the return of `sbatch`) until the job's start by the centre's accounting, in whole
seconds. What has not started when the time is up counts with what it has waited so far. A request's job is `sleep 5`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import secrets
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import reporting
from alpha import SESSION, beds, needs, note
from other_jobs import Others, plans

from scnet_hub.adapters.secret_files import read_secret
from scnet_hub.demo.process import until
from scnet_hub.demo.run import Demo, Setup, running

Json = dict[str, Any]
PLACE = beds.Place(prefix="real", network="10.83")
ALL, FEDERATED = "abcd", "ab"
PERSON = "ada"
OURS, PEER = "scnet", "slurm_federation"
CORES, WALLTIMES = (1, 1, 2, 2, 3, 4), (120, 180, 300)  # of a request; seconds
SLEEP = 5
LEVELS = {"slurm": 0.95, "gridengine": 0.95, "oar": 0.7}  # OAR needs seconds for each start: more would never drain
WARM_UP = 45.0  # seconds until queues are there
DRAIN = 75.0  # seconds in which the last requests may start
WATCH = (6.0, 2.0)  # seconds between looks, calm and busy: in proportion to jobs of a minute
# of each place, in the log
TOLD = (
    "centre",
    "wait",
    "expected_start",
    "expected_start_s",
    "cores_free",
    "queued_jobs",
    "age_s",
)
FEDERATION = """
name = "Real placement"
centres = ["centres/*.toml"]
[[project]]
id = "climate"
members = ["ada"]
grants = { first = 1000000 }
quota = { sessions = 1000, cores = 4000 }
"""


# ---- pure parts


@dataclass(frozen=True, slots=True)
class Request:
    cores: int
    walltime: int


@dataclass(slots=True)
class Outcome:
    """The outcome of one request under one policy. `wait` is None until the job starts; `refused` is the reason why the
    scheduler refused the job."""

    policy: str
    request: Request
    round: int
    at: float = 0.0
    centre: str = ""
    session: str = ""
    accepted: float = 0.0
    wait: float | None = None
    unstarted: bool = False
    refused: str = ""
    why: str = ""
    ranked: list[Json] = field(default_factory=list)
    view: Json = field(default_factory=dict)


# number of the request, the broker's centres → where to pin it, "": nowhere
Choice = Callable[[int, Sequence[Json]], str]


def round_robin(number: int, centres: Sequence[Json]) -> str:
    return str(centres[number % len(centres)]["id"])


def least_loaded(number: int, centres: Sequence[Json]) -> str:
    """Of those that answer; between equals the first."""
    known = [one for one in centres if one["state"] == "up"] or centres
    return str(min(known, key=fullness)["id"])


def unpinned(number: int, centres: Sequence[Json]) -> str:
    return ""


def fullness(centre: Json) -> float:
    parts = centre["partitions"]
    booked = sum(part["cores"] - part["cores_free"] + part["queued_cores"] for part in parts)
    return float(booked / max(1, sum(part["cores"] for part in parts)))


POLICIES: dict[str, Choice] = {"round_robin": round_robin, "least_loaded": least_loaded, OURS: unpinned}


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that is not exceeded by that share of them."""
    ordered = sorted(values)
    return ordered[max(0, min(len(ordered) - 1, -int(-share * len(ordered) // 1) - 1))]


def report(outcomes: Sequence[Outcome]) -> Json:
    policies = {
        name: _policy([one for one in outcomes if one.policy == name])
        for name in dict.fromkeys(one.policy for one in outcomes)
    }
    ours = policies.get(OURS, {})
    measures = ("wait_mean_s", "wait_p50_s", "wait_p95_s")
    ratios: Json = {
        name: {
            **{measure.removesuffix("_s"): round(found[measure] / max(ours[measure], 1.0), 2) for measure in measures},
            "wait_mean_95": interval(waits_of(outcomes, name), waits_of(outcomes, OURS)),
        }
        for name, found in policies.items()
        if name != OURS and "wait_mean_s" in found and "wait_mean_s" in ours
    }
    return {"policies": policies, "ratios": ratios}


def waits_of(outcomes: Iterable[Outcome], policy: str) -> dict[int, float]:
    """By round."""
    return {one.round: one.wait for one in outcomes if one.policy == policy and one.wait is not None}


def interval(theirs: Mapping[int, float], ours: Mapping[int, float], draws: int = 1000) -> tuple[float, float]:
    """Between which values the ratio of the means lies in 95 of 100 draws of as many rounds, with replacement."""
    rounds = sorted(theirs.keys() & ours.keys())
    dice = random.Random(0)
    drawn = (dice.choices(rounds, k=len(rounds)) for _ in range(draws if rounds else 0))
    found = sorted(sum(theirs[one] for one in some) / max(sum(ours[one] for one in some), 1.0) for some in drawn) or [
        0.0
    ]
    return round(percentile(found, 0.025), 2), round(percentile(found, 0.975), 2)


def _policy(mine: Sequence[Outcome]) -> Json:
    taken = [one for one in mine if one.wait is not None]
    counts: Json = {
        "requests": len(mine),
        "refused": sum(bool(one.refused) for one in mine),
        "unstarted": sum(one.unstarted for one in mine),
    }
    if not taken:
        return counts
    waits = [one.wait for one in taken if one.wait is not None]
    centres = sorted({one.centre for one in taken})
    return {
        **counts,
        "wait_mean_s": round(statistics.fmean(waits), 2),
        "wait_p50_s": round(percentile(waits, 0.5), 2),
        "wait_p95_s": round(percentile(waits, 0.95), 2),
        "wait_max_s": round(max(waits), 2),
        "started_10s": round(sum(wait <= 10 for wait in waits) / len(mine), 3),
        "started_60s": round(
            sum(wait <= 60 and not one.unstarted for one, wait in zip(taken, waits, strict=True)) / len(mine), 3
        ),
        "by_centre": {
            centre: {
                "requests": len(there := [one.wait for one in taken if one.centre == centre and one.wait is not None]),
                "wait_mean_s": round(statistics.fmean(there), 2),
            }
            for centre in centres
        },
    }


def requests(seed: int) -> Iterable[Request]:
    dice = random.Random(f"{seed}:requests")
    while True:
        yield Request(dice.choice(CORES), dice.choice(WALLTIMES))


# ---- the federation


@asynccontextmanager
async def federation(
    home: Path, testbed: beds.Testbed, environment: Path
) -> AsyncIterator[tuple[Demo, httpx.AsyncClient]]:
    """Hub, broker and proxy over the testbed's centres, all of them up; and the broker's door for one person."""
    testbed.outfit(home, watch=WATCH, listen_port=secrets.choice(range(19000, 29000)))
    (home / "federation.toml").write_text(FEDERATION)
    testbed.bind(environment, SESSION)
    async with running(home, Setup(kind="given", host=testbed.hub), say=note) as demo:
        token = read_secret(home / "secrets" / "hub.token")
        url = f"http://127.0.0.1:{demo.state.ports.broker}/services/scnet/api/v1"
        headers = {"Authorization": f"token {token}", "X-SCNet-Person": PERSON}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60, trust_env=False) as door:

            async def all_up() -> bool:
                await asyncio.sleep(0.5)
                return {one["state"] for one in await seen(door)} == {"up"}

            await until(all_up, "Every centre", 120)
            yield demo, door


async def seen(door: httpx.AsyncClient) -> list[Json]:
    """The broker's centres."""
    centres: list[Json] = (await door.get("/centres")).raise_for_status().json()["centres"]
    return centres


async def submit(door: httpx.AsyncClient, outcome: Outcome, centre: str, centres: Sequence[Json]) -> None:
    outcome.view = {
        one["id"]: [round(fullness(one), 2), one["cores_free"], one["queued_jobs"], one["age_s"]] for one in centres
    }
    wish: Json = {
        "kind": "batch", "name": f"{outcome.policy}-{outcome.round}", "argv": ["sleep", str(SLEEP)],
        "cores": outcome.request.cores, "memory": f"{outcome.request.cores * 500}M",
        "walltime": outcome.request.walltime, **({"centre": centre} if centre else {}),
    }  # fmt: skip
    answer = await door.post("/sessions", json=wish)
    outcome.accepted = time.time()
    document = answer.json()
    if answer.status_code not in (200, 201):
        outcome.refused = document.get("title", answer.text)[:300]
        return
    outcome.session, outcome.centre, outcome.why = document["id"], document["centre"], document["why"]
    ranked = (document.get("placement") or {}).get("ranked") or []
    outcome.ranked = [{key: one[key] for key in TOLD} for one in ranked]


async def follow(door: httpx.AsyncClient, outcome: Outcome) -> None:
    """Until the session was charged, so that its start is what accounting says."""
    seen_version = -1
    while True:
        answer = await door.get(f"/sessions/{outcome.session}", params={"wait": 25, "seen": seen_version})
        if answer.status_code != 200:
            await asyncio.sleep(1)
            continue
        document = answer.json()
        seen_version, outcome.centre = document["version"], document["centre"]
        if document["started_at"]:
            outcome.wait = max(0.0, moment(document["started_at"]) - outcome.accepted)
        if document["state"] == "charged":
            if not document["started_at"]:
                outcome.refused = document["end_reason"] or "it ended without a start"
            return


def moment(text: str) -> float:
    """Whole seconds since the epoch, as most schedulers tell them."""
    return float(int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()))


# ---- the course of a run


@dataclass
class Run:
    """`peer` submits by Slurm's own federation; None without it."""

    door: httpx.AsyncClient
    policies: Mapping[str, Choice]
    rounds: int
    ends_at: float
    pace: float
    seed: int
    peer: Any = None
    outcomes: list[Outcome] = field(default_factory=list)

    async def go(self) -> None:
        """All requests, so far as there is time; then those that are under way."""
        dice = random.Random(f"{self.seed}:order")
        began = time.monotonic()
        under_way: set[asyncio.Task[None]] = set()
        try:
            for number, request in zip(range(self.rounds), requests(self.seed), strict=False):
                names = [*self.policies, *([PEER] if self.peer else [])]
                dice.shuffle(names)
                for name in names:
                    at = began + len(self.outcomes) * self.pace
                    if max(at, time.monotonic()) > self.ends_at - DRAIN:
                        return
                    await asyncio.sleep(max(0.0, at - time.monotonic()) + dice.uniform(0, self.pace / 2))
                    outcome = Outcome(name, request, number, at=round(time.monotonic() - began, 1))
                    self.outcomes.append(outcome)
                    under_way.add(asyncio.create_task(self._one(outcome)))
                if number % 10 == 9:
                    self._tell(number + 1)
        finally:
            left = max(5.0, self.ends_at - time.monotonic())
            if under_way:
                _, late = await asyncio.wait(under_way, timeout=left)
                for task in late:
                    task.cancel()
                await asyncio.gather(*under_way, return_exceptions=True)
            self._settle()

    async def _one(self, outcome: Outcome) -> None:
        if outcome.policy == PEER:
            await self.peer.one(outcome)
            return
        centres = await seen(self.door)
        await submit(self.door, outcome, self.policies[outcome.policy](outcome.round, centres), centres)
        if outcome.session:
            await follow(self.door, outcome)

    def _settle(self) -> None:
        for one in self.outcomes:
            if one.wait is None and not one.refused and one.accepted:
                one.wait, one.unstarted = time.time() - one.accepted, True
            elif one.wait is None and not one.refused:
                one.refused = "no answer in time"

    def _tell(self, rounds: int) -> None:
        means = {
            name: round(statistics.fmean(waits), 1) if waits else None
            for name in dict.fromkeys(one.policy for one in self.outcomes)
            for waits in [[one.wait for one in self.outcomes if one.policy == name and one.wait is not None]]
        }
        last = self.outcomes[-1].view or next((one.view for one in reversed(self.outcomes) if one.view), {})
        note(f"{rounds} rounds; mean waits so far {means}; full { ({name: facts[0] for name, facts in last.items()}) }")


async def measure(options: argparse.Namespace, testbed: beds.Testbed, environment: Path, began: float) -> Json:
    centres = testbed.centres
    ends_at = began + options.minutes * 60
    with tempfile.TemporaryDirectory(prefix="sc-", ignore_cleanup_errors=True) as folder:
        async with federation(Path(folder), testbed, environment) as (_, door):
            others = Others(
                testbed, plans(options.seed, ends_at - time.monotonic(), centres, LEVELS), clusters(options, centres)
            )
            load = asyncio.create_task(others.run())
            try:
                await asyncio.sleep(WARM_UP)
                left = ends_at - time.monotonic() - DRAIN
                names = {OURS: unpinned} if options.fed else POLICIES
                each = len(names) + bool(options.fed)
                pace = options.pace or max(0.8, left / (options.requests * each))
                peer = joined(testbed) if options.fed else None
                run = Run(door, names, options.requests, ends_at, pace, options.seed, peer)
                note(f"a request every {pace:.1f} s")
                await run.go()
            finally:
                load.cancel()
                await asyncio.gather(load, return_exceptions=True)
    if options.log:
        options.log.write_text("".join(json.dumps(asdict(one)) + "\n" for one in run.outcomes))
    return {
        "centres": centres, "seed": options.seed, "pace_s": round(pace, 2), "others": dict(others.counts),
        "load_average": os.getloadavg()[1],
        **report(run.outcomes),
        "refusals": dict(Counter(one.refused for one in run.outcomes if one.refused)),
    }  # fmt: skip


def clusters(options: argparse.Namespace, centres: str) -> dict[str, str]:
    """In Slurm's federation other people's jobs stay where they were submitted, as without it."""
    if not options.fed:
        return {}
    import slurm_federation

    return {centre: slurm_federation.cluster(centre) for centre in centres}


def joined(testbed: beds.Testbed) -> Any:
    import slurm_federation

    return slurm_federation.Peer(testbed, SLEEP)


@contextlib.contextmanager
def standing(options: argparse.Namespace) -> Iterator[beds.Testbed]:
    """The testbed, for as long as it is needed."""
    if options.fed:
        import slurm_federation

        with slurm_federation.up(PLACE) as testbed:
            yield testbed
        return
    with beds.shared(ALL, place=PLACE) as testbed:
        yield testbed


def main() -> None:
    parser = reporting.arguments(__doc__)
    parser.add_argument("--requests", type=int, default=200, help="by each policy, if there is time")
    parser.add_argument("--minutes", type=float, default=12, help="in all, from the start of the testbed on")
    parser.add_argument(
        "--pace", type=float, default=0, help="seconds between two requests (default: what the time allows)"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fed", action="store_true", help="against Slurm's own federation of a and b")
    parser.add_argument("--log", type=Path, help="one line of JSON for each request")
    options = parser.parse_args()
    centres = FEDERATED if options.fed else ALL
    if lacking := {centre: why for centre in centres if (why := needs.missing(centre))}:
        sys.exit(
            f"{'; '.join(f'{centre}: {why}' for centre, why in lacking.items())}.\nAs root, on Debian: "
            f"{needs.install_line(centres)}"
        )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()
    from tests.real import environments

    with contextlib.redirect_stdout(sys.stderr):  # it says what it builds
        environment = environments.standing(environments.KEPT / "environments")
    with standing(options) as testbed:
        document = asyncio.run(measure(options, testbed, environment, began))
    reporting.show(document, as_json=options.json)


if __name__ == "__main__":
    main()
