"""Scheduler commands per minute, ours and stock batchspawner's: python benchmarks/scheduler_load.py [--servers 300]
[--json]

Both sides at once at one real Slurm (centre a of the testbed, with more cores), each with N live and 30 pending
servers, for two N. *Ours*: the real broker over SSH; its sessions are batch jobs that call home and sleep. *Stock*: a
real JupyterHub on the login node with unchanged `SlurmSpawner`s and their own intervals; its servers are `stand_in.py`.
Pending jobs wait for GPUs, all taken.

Commands are counted where they arrive, by a line that a wrapper on the login node writes, and as the scheduler counts
them: remote procedure calls to slurmctld by user (`sdiag`); the person of each side has only jobs of that side.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

import alpha
import httpx
import reporting
from alpha import note

from scnet_hub.adapters.secret_files import read_secret
from scnet_hub.demo.process import until
from scnet_hub.demo.run import Setup, running
from scnet_hub.domain.addresses import PREFIX
from tests.real.testbed import Testbed

Json = dict[str, Any]
OURS, STOCK = "grace", "ada"  # the person of each side; ours are also the federation's own account's questions
PENDING = 30
AT_ONCE = 10  # starts
# Room for both sides; gathering of jobs' figures off: each job's daemon would read all of /proc every ten seconds
LARGER: Json = {"cores": 256, "memory": 512_000}
MORE_SLURM_CONF = "\nJobAcctGatherFrequency=0"
FEDERATION = """
centres = ["centres/a.toml"]
[[project]]
id = "load"
members = ["grace"]
grants = { first = 1000000 }
quota = { sessions = 10000, cores = 10000, gpus = 10000 }
"""
STOCK_CONFIG = """
c.JupyterHub.log_level = "WARN"
c.JupyterHub.cleanup_servers = False
c.JupyterHub.allow_named_servers = True
c.JupyterHub.concurrent_spawn_limit = 0
c.JupyterHub.services = [{{"name": "load", "api_token": {token!r}}}]
c.JupyterHub.load_roles = [{{"name": "load", "scopes": ["admin:users", "admin:servers"], "services": ["load"]}}]
c.Spawner.start_timeout = 7200
c.SlurmSpawner.req_srun = ""
c.SlurmSpawner.batchspawner_singleuser_cmd = "/usr/bin/python3 -I -S /srv/stand_in.py"
"""
ASKED = "/run/asked"
WRAPPER = f"""#!/bin/sh
echo "${{SSH_CONNECTION:+ours}} ${{0##*/}}" >>{ASKED}
exec "/usr/bin/${{0##*/}}" "$@"
"""
PROGRAMS = ("sbatch", "squeue", "scancel", "sinfo", "sacct", "scontrol")
WRAP = (
    f'cat >"$1" && chmod 755 "$1" && shift && for program; do cp /usr/local/bin/{PROGRAMS[0]} '
    '"/usr/local/bin/$program"; done'
)


class Side(Protocol):
    async def start(self, name: str, gpus: int) -> None: ...
    async def ready(self) -> int:
        """How many servers are."""


class Ours:
    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def start(self, name: str, gpus: int) -> None:
        wish = {"kind": "batch", "name": name, "cores": 1, "gpus": gpus, "walltime": "2h", "argv": ["sleep", "7200"]}
        (await self.http.post("/sessions", json=wish)).raise_for_status()

    async def ready(self) -> int:
        return sum(one["state"] == "ready" for one in (await self.http.get("/sessions")).json()["sessions"])


class Stock:
    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def start(self, name: str, gpus: int) -> None:
        wish = {"gres": f"gpu:{gpus}"} if gpus else {}
        (await self.http.post(f"/users/{STOCK}/servers/{name}", json=wish)).raise_for_status()

    async def ready(self) -> int:
        return sum(one["ready"] for one in (await self.http.get(f"/users/{STOCK}")).json()["servers"].values())


async def grow(sides: Iterable[Side], live: range) -> None:
    """These numbers live at each side; a few start at a time."""

    async def one(side: Side) -> None:
        for first in range(live.start, live.stop, AT_ONCE):
            some = range(first, min(first + AT_ONCE, live.stop))
            await asyncio.gather(*(side.start(f"live{number}", 0) for number in some))
            await until(
                lambda wanted=some.stop: at_least(side.ready, wanted),
                f"{type(side).__name__}'s server {some.stop}",
                300,
            )

    await asyncio.gather(*(one(side) for side in sides))


async def at_least(ready: Callable[[], Awaitable[int]], wanted: int) -> bool:
    return await ready() >= wanted


async def settled(testbed: Testbed, live: int) -> None:
    """The scheduler itself says that each side has as many running and pending as it should."""
    wanted = {
        (person, state): count for person in (OURS, STOCK) for state, count in (("RUNNING", live), ("PENDING", PENDING))
    }

    async def so() -> bool:
        rows = await at(testbed, "/usr/bin/squeue", "--noheader", "--format=%u %T")
        found = Counter(tuple(row.split()) for row in rows.splitlines())
        return all(found[key] == count for key, count in wanted.items())

    await until(so, f"{live} live and {PENDING} pending on both sides", 120)


async def window(testbed: Testbed, live: int, seconds: float) -> Json:
    """What each side asks per minute, as seen on the login node and by slurmctld."""
    await settled(testbed, live)
    before, asked_before, began = await calls(testbed), await asked(testbed), time.monotonic()
    await asyncio.sleep(seconds)
    after, asked_after, minutes = await calls(testbed), await asked(testbed), (time.monotonic() - began) / 60
    await settled(testbed, live)
    commands, rpcs = asked_after - asked_before, after - before
    sides = {"ours": ("ours", (OURS, "scnet")), "batchspawner": ("stock", (STOCK,))}
    report: Json = {"live": live, "pending": PENDING, "seconds": round(minutes * 60)}
    for name, (tag, users) in sides.items():
        mine = {program: count for (side, program), count in sorted(commands.items()) if side == tag}
        report |= {
            f"{name}_per_minute": round(sum(mine.values()) / minutes, 1),
            f"{name}_commands": mine,
            f"{name}_rpcs_per_minute": round(sum(rpcs[user] for user in users) / minutes, 1),
        }
    note(json.dumps(report))
    return report


async def asked(testbed: Testbed) -> Counter[tuple[str, str]]:
    """Commands so far, by side and program."""
    lines = (await at(testbed, "cat", ASKED)).splitlines()
    return Counter((side or "stock", program) for side, _, program in (line.partition(" ") for line in lines))


async def calls(testbed: Testbed) -> Counter[str]:
    """Remote procedure calls to slurmctld so far, by user."""
    text = (await at(testbed, "/usr/bin/sdiag")).partition("statistics by user")[2]
    return Counter(
        {user: int(count) for user, count in re.findall(r"^\s+(\S+)\s+\(\s*\d+\)\s+count:(\d+)", text, re.MULTILINE)}
    )


async def at(testbed: Testbed, *argv: str) -> str:
    return (await asyncio.to_thread(testbed.at, "a", argv, check=True)).stdout


def prepare(testbed: Testbed) -> None:
    """The commands tell who ran them, and no GPU is free."""
    testbed.at("a", ["sh", "-c", f": >{ASKED}; chmod 666 {ASKED}"], check=True)
    paths = [f"/usr/local/bin/{PROGRAMS[0]}", *PROGRAMS[1:]]
    testbed.at("a", ["sh", "-c", WRAP, "sh", *paths], stdin=WRAPPER, check=True)
    alpha.put(testbed, "/srv/stand_in.py", Path(alpha.__file__).with_name("stand_in.py").read_text())
    gpus, nodes = alpha.centre().gpus, len(alpha.centre().nodes)
    taken = [
        "/usr/bin/sbatch",
        f"--nodes={nodes}",
        "--ntasks-per-node=1",
        f"--gres=gpu:{gpus}",
        "--time=1-0",
        "--wrap=sleep 86400",
    ]
    testbed.at("a", taken, account="scnet", check=True)


async def measure(servers: list[int], seconds: float, session: Path | None) -> Json:
    token = secrets.token_hex(16)
    conf = alpha.centre().slurm_conf + MORE_SLURM_CONF
    with (
        tempfile.TemporaryDirectory(prefix="sc-", ignore_cleanup_errors=True) as folder,
        alpha.session_environment(session) as environment,
        alpha.alpha(environment, slurm_conf=conf, **LARGER) as testbed,
    ):
        home = Path(folder)
        testbed.outfit(home)
        (home / "federation.toml").write_text(FEDERATION)
        prepare(testbed)
        async with (
            running(home, Setup(kind="given", host=testbed.hub), say=note) as demo,
            alpha.stock_hub(testbed, home, STOCK_CONFIG.format(token=token)) as (url, _),
        ):
            broker = f"http://127.0.0.1:{demo.state.ports.broker}{PREFIX}"
            ours_token = read_secret(home / "secrets" / "hub.token")
            async with (
                caller(broker, ours_token, {"X-SCNet-Person": OURS}) as to_broker,
                caller(f"{url}/hub/api", token) as to_hub,
            ):
                (await to_hub.post(f"/users/{STOCK}")).raise_for_status()
                sides: tuple[Side, ...] = (Ours(to_broker), Stock(to_hub))
                await asyncio.gather(
                    *(side.start(f"pending{number}", 1) for side in sides for number in range(PENDING))
                )
                windows, grown = [], 0
                for live in servers:
                    await grow(sides, range(grown, live))
                    note(f"{live} live on both sides")
                    windows.append(await window(testbed, live, seconds))
                    grown = live
    last = windows[-1]
    return {
        "servers": last["live"],
        "pending": PENDING,
        "ours_per_minute": last["ours_per_minute"],
        "batchspawner_per_minute": last["batchspawner_per_minute"],
        "ratio": round(last["ours_per_minute"] / last["batchspawner_per_minute"], 5),
        "windows": windows,
    }


def caller(url: str, token: str, headers: dict[str, str] | None = None) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=url, headers={"Authorization": f"token {token}", **(headers or {})}, timeout=120, trust_env=False
    )


def main() -> None:
    parser = reporting.arguments(__doc__)
    parser.add_argument(
        "--servers", type=int, default=300, help="N: live servers of each side; a tenth of them is measured first"
    )
    parser.add_argument("--seconds", type=float, default=120, help="length of each of the two measurements")
    parser.add_argument("--session", type=Path, help="a session environment made before (default: made for this run)")
    options = parser.parse_args()
    report = asyncio.run(measure([max(1, options.servers // 10), options.servers], options.seconds, options.session))
    reporting.show(report, as_json=options.json)


if __name__ == "__main__":
    main()
