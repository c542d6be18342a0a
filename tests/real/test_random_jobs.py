"""Random jobs at real schedulers, ended in every way that a job can end: each charge is what the centre's own
accounting says, to the second and to the millionth of a credit.

The accounting is asked here by the centre's admin, with sacct, qacct and oarstat, and multiplied out by the page's
prices: nothing of the product's own reading is trusted. SCNET_JOBS=500 is the long run (SCNET_SEED: another one), in
which some jobs also run into their walltime and some nodes die; in the suite there are few, and short ones.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from tests.real import testbed as tb
from tests.real.faults import accounting, books
from tests.real.faults.arena import FEDERATION as FEDERATION  # the fixture's, with room for many sessions at once
from tests.real.faults.arena import PEOPLE, PROJECT
from tests.real.faults.evidence import Run
from tests.real.testbed.fixtures import need
from tests.real.testbed.layout import CENTRES
from tests.system.demo.conftest import Running, wait_for

pytestmark = pytest.mark.slow
Json = dict[str, Any]

JOBS = int(os.environ.get("SCNET_JOBS", "40"))
SEED = int(os.environ.get("SCNET_SEED", "0"))
LONG = JOBS >= 100
AT_ONCE = 20
PATIENCE = 400.0  # seconds for one step of a job: OAR takes a while under load
SHARES = {"a": 6, "b": 6, "c": 5, "d": 3}  # d has few cores
NOT_CHARGED = frozenset({"NODE_FAIL", "BOOT_FAIL", "PREEMPTED"})
SGE = "SGE_ROOT=/var/lib/gridengine"
CANCEL = {"slurm": ["scancel"], "gridengine": ["env", SGE, "qdel"], "oar": ["oardel"]}
NODE_DOWN = {
    "slurm": ["scontrol", "update", "state=down", "reason=broken", "nodename={node}"],
    "oar": ["oarnodesetting", "-s", "Dead", "-h", "{node}"],
}
RESUME = 'while sinfo -h -n "$0" -o %T | grep -q down; do scontrol update state=resume nodename="$0"; sleep 0.2; done'
NODE_UP = {
    "slurm": ["sh", "-c", RESUME, "{node}"],
    "oar": ["oarnodesetting", "-s", "Alive", "-h", "{node}"],
}
TWICE = 'if [ -e again ]; then sleep "$0"; else touch again; sleep 600; fi'
# Slurm keeps a job back for two minutes after that, its admin need not; within its second the node would refuse it.
START_NOW = (
    'sleep 2; until [ "$(squeue -h -j "$0" -o %t)" != PD ]; do scontrol update "JobId=$0" StartTime=now; '
    "sleep 0.2; done"
)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One job: where, how large, and how it is to end, after so many seconds."""

    name: str
    way: str
    centre: str
    person: str
    cores: int
    gpus: int
    seconds: float

    @property
    def kind(self) -> str:
        return CENTRES[self.centre].kind

    @property
    def body(self) -> Json:
        way = WAYS[self.way]
        size = {"cores": self.cores, "gpus": self.gpus, "memory": "1G", "walltime": way.walltime}
        argv = ["sh", "-c", way.program, f"{self.seconds:.1f}"]
        return {"kind": "batch", "name": self.name, "argv": argv, "centre": self.centre, "project": PROJECT, **size}


@dataclass(frozen=True)
class Job:
    """One that was submitted, with all that is needed to end it."""

    plan: Plan
    session: str
    testbed: tb.Testbed
    door: httpx.Client

    def document(self, **params: int) -> Json:
        answer = self.door.get(f"sessions/{self.session}", params=params)
        answer.raise_for_status()
        document: Json = answer.json()
        return document

    def until(self, *states: str) -> Json:
        """Follows the session until it is in one of these states, or over."""
        deadline, one = time.monotonic() + PATIENCE, self.document()
        while one["state"] not in (*states, "charged"):
            assert time.monotonic() < deadline, (
                f"{self.plan} is {one['state']}, not {states}: {one['reason'] or one['unknown_why']}"
            )
            one = self.document(wait=15, seen=one["version"])
        return one

    def running(self) -> Json:
        """Once it runs, and has done so for the time of its plan."""
        one = self.until("ready")
        assert one["state"] == "ready", f"{self.plan} is over before it could be ended: {one['end_reason']}"
        time.sleep(self.plan.seconds)
        deadline = time.monotonic() + PATIENCE
        # told by the scheduler, at its next look
        while not one["node"] and one["live"] and time.monotonic() < deadline:
            one = self.document(wait=5, seen=one["version"])
        return one

    def stop(self) -> None:
        self.door.delete(f"sessions/{self.session}").raise_for_status()

    def admin(self, *argv: str, account: str = "") -> None:
        self.testbed.at(self.plan.centre, list(argv), account=account, check=True)


# ---- ways to end


def by_itself(job: Job) -> None:
    pass


def stopped(job: Job) -> None:
    job.running()
    job.stop()


def stopped_at_once(job: Job) -> None:
    job.stop()


def cancelled(job: Job) -> None:
    job.admin(*CANCEL[job.plan.kind], job.running()["job_id"])


def requeued(job: Job) -> None:
    """By its person where the scheduler lets them, else by the admin. The second run ends by itself."""
    job_id = job.running()["job_id"]
    if job.plan.kind == "gridengine":
        return job.admin("env", SGE, "qmod", "-f", "-rj", job_id)
    account = job.testbed.accounts[job.plan.centre][job.plan.person]
    job.admin("scontrol", "update", f"JobId={job_id}", "Requeue=1", account=account)
    job.admin("scontrol", "requeue", job_id, account=account)
    return job.admin("sh", "-c", START_NOW, job_id)


def node_failed(job: Job) -> None:
    """Its admin says so: the scheduler gives up what ran there at once."""
    node = job.running()["node"]
    try:
        job.admin(*(word.format(node=node) for word in NODE_DOWN[job.plan.kind]))
        job.until("charged")
    finally:
        job.admin(*(word.format(node=node) for word in NODE_UP[job.plan.kind]))


def node_died(job: Job) -> None:
    """Nobody says so: the scheduler finds out."""
    with job.testbed.broken(job.plan.centre, "node-kill", job.running()["node"]):
        job.until("charged")


@dataclass(frozen=True, kw_only=True)
class Way:
    """`whole`: the job has its node for itself, so that nothing else ends with it."""

    share: int
    act: Callable[[Job], None] = by_itself
    program: str = "sleep 600"
    centres: str = "abcd"
    walltime: str = "10m"
    whole: bool = False
    long: bool = False


WAYS: Mapping[str, Way] = {
    "ended": Way(share=8, program='sleep "$0"'),
    "failed": Way(share=6, program='sleep "$0"; exit 3'),
    "stopped": Way(share=5, act=stopped),
    "stopped at once": Way(share=3, act=stopped_at_once),
    "cancelled": Way(share=5, act=cancelled),
    "requeued": Way(share=4, act=requeued, program=TWICE, centres="abc"),
    "node failed": Way(share=2, act=node_failed, centres="abd", whole=True),
    "node died": Way(share=1, act=node_died, centres="ab", whole=True, long=True),
    "walltime over": Way(share=3, walltime="1m", long=True),
}


def plans() -> Iterator[Plan]:
    """Every way at every centre once, then by chance. What takes long comes first: OAR starts jobs slowly."""
    dice = random.Random(SEED)
    ways = {name: way for name, way in WAYS.items() if LONG or not way.long}
    pairs = [(name, centre) for name, way in ways.items() for centre in way.centres]
    pairs.sort(key=lambda one: (not ways[one[0]].long, one[1] != "d"))
    by_chance = dice.choices(
        pairs, [ways[name].share * SHARES[centre] for name, centre in pairs], k=max(JOBS - len(pairs), 0)
    )
    for number, (way, centre) in enumerate([*pairs, *by_chance][:JOBS], 1):
        there, whole, name = CENTRES[centre], ways[way].whole, f"job-{number}"
        gpus = int(not whole and there.kind != "oar" and dice.random() < 0.2)
        cores = there.cores if whole else 1 if gpus else dice.randrange(1, 5)
        person, seconds = dice.choice(PEOPLE), dice.uniform(0.5, 3.5)
        yield Plan(name=name, way=way, centre=centre, person=person, cores=cores, gpus=gpus, seconds=seconds)


# ---- the test


def live_through(plan: Plan, hub: Running, testbed: tb.Testbed) -> Json:
    """The session as it was charged."""
    with hub.as_hub(plan.person) as door:
        answer = wait_for(lambda: (one := door.post("sessions", json=plan.body)).status_code < 300 and one, PATIENCE)
        job = Job(plan, answer.json()["id"], testbed, door)
        WAYS[plan.way].act(job)
        return job.until("charged")


def cost(run: Run) -> int:
    """By the accounting and the page, in whole millionths of a credit, rounded up once."""
    if run.word in NOT_CHARGED:
        return 0
    centre = CENTRES[run.centre]
    an_hour = run.cores * round(centre.core_hour * 1e6) + run.gpus * round(centre.gpu_hour * 1e6)
    assert run.elapsed == int(run.elapsed) >= 0
    return -(-an_hour * int(run.elapsed) // 3600)


def accounted(testbed: tb.Testbed) -> Mapping[tuple[str, str], list[Run]]:
    """By centre and name, each job's runs."""
    ask = accounting.asked_of(testbed)
    found: defaultdict[tuple[str, str], list[Run]] = defaultdict(list)
    for run in (run for centre in CENTRES for run in accounting.runs(ask, centre)):
        found[run.centre, run.name].append(run)
    return found


def paid(hub: Running) -> Mapping[str, int]:
    """By session, what the books moved to its centre."""
    found: Counter[str] = Counter()
    for entry in books.entries(hub.home / "broker.sqlite"):
        found[entry.session] += entry.paid
    return found


def test_each_charge_is_what_the_centres_own_accounting_says_to_the_second(hub: Running, testbed: tb.Testbed) -> None:
    need(testbed, *CENTRES)
    wanted = list(plans())
    with ThreadPoolExecutor(AT_ONCE) as pool:
        lives = [pool.submit(live_through, plan, hub, testbed) for plan in wanted]
    failed = [(plan, error) for plan, life in zip(wanted, lives, strict=True) if (error := life.exception())]
    done = [(plan, life.result()) for plan, life in zip(wanted, lives, strict=True) if not life.exception()]

    today = datetime.now(ZoneInfo("Asia/Shanghai")).date()
    for centre in CENTRES:  # as each night: what an accounting told only after it was first asked is corrected
        days = {"day": str(today - timedelta(days=1)), "to": str(today)}
        hub.operator.call("POST", f"centres/{centre}/usage-records/pull", json=days, timeout=60)
    done = [(plan, hub.operator.session(session["id"])) for plan, session in done]

    said, booked = accounted(testbed), paid(hub)
    wrong, words = [], Counter[tuple[str, ...]]()
    for plan, session in done:
        runs = said[plan.centre, f"scnet-{session['id']}"]
        words[plan.way, plan.kind, *(run.word for run in runs)] += 1
        due, took, shown = sum(map(cost, runs)), booked[session["id"]], round(session["charged"] * 1e6)
        if not due == took == shown or any(run.live for run in runs[-1:]):
            wrong.append((plan, session["job_id"], f"due {due}, paid {took}, shown {shown}", runs))
    print(*(f"{count:5} {' '.join(how)}" for how, count in sorted(words.items())), sep="\n")
    print(f"{len(done)} jobs, {sum(booked.values())} millionths of a credit, {len(wrong)} wrong")
    assert not wrong, f"{len(wrong)} of {len(done)}: {wrong[:10]}"
    assert not failed, failed
    slurm = {word for _, kind, *ends in words for word in ends if kind == "slurm"}
    assert slurm >= {"COMPLETED", "FAILED", "CANCELLED", "REQUEUED", "NODE_FAIL"} | ({"TIMEOUT"} if LONG else set())
    assert hub.operator.call("GET", "ledger/verify", timeout=60)["ok"]
