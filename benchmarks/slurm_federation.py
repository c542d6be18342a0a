"""The testbed's centres a and b joined in Slurm's own federation, and its people: the peer of a federation of
independent centres.

What it takes, and independent centres don't have: one munge key, one set of accounts and numbers, one slurmdbd,
controllers that reach each other. A job submitted at one gets a sibling at the other, and the first to start wins. Who
names a cluster stays there: so our own broker does here (`SBATCH_CLUSTERS` by its login nodes), and other people's
jobs.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from alpha import beds

from tests.real.testbed import life
from tests.real.testbed.kinds import KINDS

BOTH = ("a", "b")
NAME = "tbfed"
WHO = "ada"
EVERY = 3.0  # seconds between questions to accounting
RAN = ("RUNNING", "COMPLETED", "COMPLETING")
STOP = """
for file in /run/slurm/slurmctld.pid /run/slurm/slurmd-*.pid; do kill "$(cat "$file")"; done
for file in /run/slurm/slurmctld.pid /run/slurm/slurmd-*.pid; do
  while [ -e "$file" ] && kill -0 "$(cat "$file")" 2>/dev/null; do sleep 0.1; done
done
"""
CONFIGURE = """
sed -i "s/^SlurmctldHost=.*/SlurmctldHost=$(hostname)($0)/; s/^AccountingStorageHost=.*/AccountingStorageHost=$1/
  /^CommunicationParameters=NoCtldInAddrAny/d" /etc/slurm/slurm.conf
echo "SetEnv SBATCH_CLUSTERS=$2" >/etc/ssh/sshd_config.d/federation.conf
kill -HUP "$(cat /run/sshd.pid)"
"""
FOLLOW = """
kill "$(cat /run/slurm/slurmdbd.pid)" "$(cat /run/mysqld/mysqld.pid)" "$(cat /run/munge/munged.pid)"
while kill -0 "$(cat /run/munge/munged.pid 2>/dev/null)" 2>/dev/null; do sleep 0.1; done
base64 -d >/etc/munge/munge.key
su -s /bin/sh munge -c "munged --force"
rm -rf /var/spool/slurmctld/*
"""
ENTER = """
sacctmgr -i add cluster "$0" && sacctmgr -i add account research Cluster="$0" Description=research Organization=research
for user in $1; do sacctmgr -i add user "$user" Cluster="$0" Account=research; done
"""
JOIN = 'sacctmgr -i add federation "$0" clusters="$1"'
STARTED = (
    "TZ=UTC SLURM_TIME_FORMAT=%s sacct -M {} -a -n -P -X -D --name peer -S 2020-01-01 -o JobIDRaw,Cluster,State,Start"
)


def cluster(centre: str) -> str:
    """As Slurm calls it."""
    return beds.CENTRES[centre].name.split()[0].lower()


@contextmanager
def up(place: beds.Place) -> Iterator[beds.Testbed]:
    """Both, joined; gone afterwards."""
    a, b = (beds.CENTRES[centre] for centre in BOTH)
    beds.CENTRES["b"] = replace(b, people=a.people, uids=a.uids, routed=True)
    try:
        with beds.shared("".join(BOTH), place=place) as testbed:
            _join(testbed)
            yield testbed
    finally:
        beds.CENTRES["b"] = b


def _join(testbed: beds.Testbed) -> None:
    a, b = (beds.CENTRES[centre] for centre in BOTH)
    for centre in (a, b):
        link = centre.namespace(testbed.place)
        subprocess.run(["ip", "link", "set", link, "type", "bridge_slave", "isolated", "off"], check=True, timeout=30)
        _sh(testbed, centre.id, STOP)
    key = _sh(testbed, "a", "base64 /etc/munge/munge.key")
    _sh(testbed, "b", FOLLOW, stdin=key)
    database = a.wan(testbed.place)
    for centre in (a, b):
        _sh(testbed, centre.id, CONFIGURE, centre.wan(testbed.place), database, cluster(centre.id))
    _sh(testbed, "a", ENTER, cluster("b"), " ".join(a.uids))
    for centre in (a, b):
        _sh(testbed, centre.id, "slurmctld")
        for node in centre.nodes:
            life.start_node(centre, testbed.place, node)
    for centre in (a, b):
        _until(testbed, centre.id, KINDS["slurm"].usable, "its nodes are idle")
    _sh(testbed, "a", JOIN, NAME, ",".join(cluster(centre) for centre in BOTH))
    for centre in BOTH:
        _until(
            testbed,
            centre,
            ("sh", "-c", "scontrol show federation | grep -q 'PersistConnSend/Recv:Yes/Yes'"),
            "it reaches the other",
        )


def _sh(testbed: beds.Testbed, centre: str, script: str, *arguments: str, stdin: str | None = None) -> str:
    done = testbed.at(centre, ["sh", "-c", script, *arguments], stdin=stdin)
    if done.returncode:
        raise RuntimeError(f"{centre}: {script.strip().splitlines()[0]}: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout


def _until(testbed: beds.Testbed, centre: str, command: Sequence[str], what: str) -> None:
    deadline = time.monotonic() + 60
    while testbed.at(centre, command).returncode:
        if time.monotonic() > deadline:
            said = testbed.at(
                centre, ["sh", "-c", "scontrol show federation; sinfo; tail -n 5 /var/log/slurm/slurmctld.log"]
            ).stdout
            raise RuntimeError(f"{centre}: not in time: {what}.\n{said}")
        time.sleep(0.2)


class Peer:
    """Submits to the federation as its people do, and reads from its accounting when each job started, and where."""

    def __init__(self, testbed: beds.Testbed, sleep: int) -> None:
        self.testbed, self.sleep = testbed, sleep
        self._started: dict[str, tuple[str, float]] = {}
        self._asked = 0.0
        self._asking = asyncio.Lock()

    async def one(self, outcome: Any) -> None:
        """The request of `outcome` by sbatch at a and b in turn; returns once its job has started."""
        origin = BOTH[outcome.round % 2]
        minutes = -(-outcome.request.walltime // 60)
        size = ("-n1", f"-c{outcome.request.cores}", f"--mem={outcome.request.cores * 500}M", "-t", str(minutes))
        argv = ["sbatch", "--parsable", "-J", "peer", *size, "-o", "/dev/null", "--wrap", f"exec sleep {self.sleep}"]
        account = beds.CENTRES[origin].people[WHO]
        done = await asyncio.to_thread(self.testbed.at, origin, argv, account=account, timeout=30)
        outcome.accepted = time.time()
        found = re.match(r"\d+", done.stdout)
        if done.returncode or not found:
            outcome.refused = done.stderr.strip()[-300:] or "sbatch said nothing"
            return
        outcome.session, outcome.centre = found[0], origin
        while outcome.session not in self._started:
            await asyncio.sleep(1)
            await self._ask()
        outcome.centre, started = self._started[outcome.session]
        outcome.wait = max(0.0, started - outcome.accepted)

    async def _ask(self) -> None:
        async with self._asking:
            if time.monotonic() - self._asked < EVERY:
                return
            said = await asyncio.to_thread(
                self.testbed.at, "a", ["sh", "-c", STARTED.format(",".join(cluster(one) for one in BOTH))], timeout=30
            )
            self._asked = time.monotonic()
            for line in said.stdout.splitlines():
                job, where, state, start = line.split("|")
                if state.startswith(RAN) and start.isdecimal():
                    self._started[job] = (next(one for one in BOTH if cluster(one) == where), float(start))
