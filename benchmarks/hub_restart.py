"""Restart of the hub under live sessions: python benchmarks/hub_restart.py [--sessions 300] [--rounds 5] [--json]

Two whole federations in one run, hub, broker, proxy and an embedded centre each: one *full*, with so many Lab sessions
of as many people, started through the hub's REST, and one *empty*. Each session is a job whose single-user server is
`session_stand_in.py`. In turns each hub is ended with kill -9, stays away for two seconds and is started again;
`answers` is the time from its process's start until `/hub/api` answers, `ready` until it also lists every session as
ready. The ratio is full over empty, median of the rounds' own; `cpu` is the hub's own CPU time until it is ready, which
other work on the machine touches less.

All the while a client holds websockets through the full proxy, sends a numbered message over each every 50 ms, counts
those that do not come back, and asks another session's API through the proxy every 50 ms. The broker's CPU time is that
of one restart of the full hub (all its polls at once), and `broker_slowest_ms` the slowest answer of the broker's
`/health` in one, asked every 20 ms.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import secrets
import shlex
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import reporting
from tornado.websocket import WebSocketClientConnection, websocket_connect

from scnet_hub.adapters.secret_files import read_secret
from scnet_hub.demo import run
from scnet_hub.demo.embedded import EmbeddedCentre, Settings, centre_toml
from scnet_hub.demo.process import tail, until
from scnet_hub.demo.run import Demo, Setup, running
from scnet_hub.domain.addresses import PREFIX
from scnet_hub.errors import ScnetError

Json = dict[str, Any]
GIB = 2**30
AT_ONCE = 20  # starts
SOCKETS = 5
EVERY = 0.05  # seconds between messages, and between requests
DOWN = 2.0  # seconds that the hub is away
CORES = 64  # of a node
MEASURED = ("answers_s", "ready_s", "cpu_s")
FEDERATION = """
centres = ["centres/{name}.toml"]
[[project]]
id = "load"
members = {members}
grants = {{ first = 1000000 }}
quota = {{ sessions = 10000, cores = 10000 }}
"""
MORE_CONFIG = """
c.JupyterHub.services.append({{"name": "load", "api_token": {token!r}}})
c.JupyterHub.load_roles.append({{"name": "load", "scopes": ["admin:users", "admin:servers"], "services": ["load"]}})
"""


class Hub:
    """A hub's process, to kill and to start again; `api` is its REST, at its own port, as a service that may do
    much."""

    def __init__(self, demo: Demo) -> None:
        self.demo, token = demo, secrets.token_hex(16)
        self.process = run.hub(demo.state)
        with (demo.state.home / "jupyterhub_config.py").open("a") as config:
            config.write(MORE_CONFIG.format(token=token))
        url = f"http://127.0.0.1:{demo.state.ports.hub}/hub/api"
        self.api = httpx.AsyncClient(
            base_url=url, headers={"Authorization": f"token {token}"}, timeout=60, trust_env=False
        )
        self.child: asyncio.subprocess.Process | None = None

    async def start(self) -> float:
        """When its process was started."""
        began = time.monotonic()
        with self.process.log.open("ab") as log:
            self.child = await asyncio.create_subprocess_exec(
                *self.process.argv, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, env=self.process.env,
                cwd=self.process.home, start_new_session=True,
            )  # fmt: skip
        return began

    async def kill(self) -> None:
        if self.child is not None and self.child.returncode is None:
            self.child.kill()
            await self.child.wait()

    async def answers(self, seconds: float = 60) -> None:
        """Returns as soon as it does."""
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(httpx.TransportError):
                if (await self.api.get("/")).status_code == 200:
                    return
            if time.monotonic() > deadline or (self.child is not None and self.child.returncode is not None):
                sys.exit(f"the hub did not start:\n{tail(self.process.log)}")
            await asyncio.sleep(0.01)

    async def ready(self) -> int:
        """How many servers it lists as ready."""
        found = 0
        for offset in range(0, 10_000, 200):
            page = (await self.api.get("/users", params={"state": "ready", "limit": 200, "offset": offset})).json()
            found += sum(server["ready"] for user in page for server in user["servers"].values())
            if len(page) < 200:
                break
        return found

    async def until_ready(self, wanted: int, seconds: float = 120, pause: float = 0.05) -> None:
        deadline = time.monotonic() + seconds
        while (found := await self.ready()) != wanted:
            if time.monotonic() > deadline:
                sys.exit(f"{found} of {wanted} sessions are ready after {seconds:.0f} s:\n{tail(self.process.log)}")
            await asyncio.sleep(pause)


class Site:
    """A federation of one centre. `broker_get` asks its broker as an operator does."""

    def __init__(self, demo: Demo) -> None:
        self.demo, self.hub = demo, Hub(demo)
        token = read_secret(demo.state.home / "secrets" / "hub.token")
        url = f"http://127.0.0.1:{demo.state.ports.broker}{PREFIX}"
        self.broker = httpx.AsyncClient(
            base_url=url, headers={"Authorization": f"token {token}"}, timeout=60, trust_env=False
        )

    @asynccontextmanager
    async def up(self) -> AsyncIterator[Site]:
        """With its hub."""
        try:
            await self.hub.start()
            await self.hub.answers()
            yield self
        finally:
            await self.hub.kill()
            await self.hub.api.aclose()
            await self.broker.aclose()

    @property
    def broker_process(self) -> psutil.Process:
        child = self.demo.processes["broker"].child
        assert child is not None
        return psutil.Process(child.pid)

    async def jobs(self) -> dict[str, str]:
        """The job of each session that is live and ready, by its id."""
        listed = (await self.broker.get("/sessions")).json()["sessions"]
        return {one["id"]: one["job_id"] for one in listed if one["state"] == "ready"}

    def unknown_polls(self) -> int:
        """How often a poll of the hub's got no answer of the broker's in time."""
        return len(re.findall("the state of session [^ ]+ is unknown", self.hub.process.log.read_text()))


@asynccontextmanager
async def site(home: Path, name: str, index: int, people: list[str]) -> AsyncIterator[Site]:
    """Up, with its hub; ended with all its jobs."""
    (home / "centres").mkdir(parents=True, mode=0o700)
    nodes = max(1, -(-len(people) // CORES))
    settings = Settings(name=name, index=index, nodes=nodes, cores=CORES, memory=2 * CORES * GIB)
    centre = EmbeddedCentre(home / "centre", settings)
    page = centre_toml(centre, title=name, python=str(stand_in(home)), directory=home / "sessions")
    (home / "centres" / f"{name}.toml").write_text(page)
    (home / "federation.toml").write_text(FEDERATION.format(name=name, members=json.dumps(people or ["nobody"])))
    await asyncio.to_thread(centre.start)
    try:
        async with (
            running(home, Setup(kind="given", with_hub=False), say=reporting.note) as demo,
            Site(demo).up() as one,
        ):
            yield one
    finally:
        end_sessions(home)
        await asyncio.to_thread(centre.stop, timeout=60)


def stand_in(home: Path) -> Path:
    """What the centre's page names as the sessions' interpreter."""
    script = home / "python"
    words = shlex.join([sys.executable, "-I", "-S", str(Path(__file__).with_name("session_stand_in.py").absolute())])
    script.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    script.chmod(0o755)
    return script


def end_sessions(home: Path) -> None:
    """At once: to cancel hundreds one by one takes the embedded centre minutes."""
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or [""]
        if words[-1].startswith(f"{home}/") and any(word.endswith("/session_stand_in.py") for word in words):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


async def start_sessions(one: Site, people: list[str]) -> None:
    (await one.hub.api.post("/users", json={"usernames": people})).raise_for_status()
    for first in range(0, len(people), AT_ONCE):
        some = people[first : first + AT_ONCE]
        wish = {"cores": 1, "memory": "1G", "walltime": "8h"}
        for answer in await asyncio.gather(
            *(one.hub.api.post(f"/users/{person}/server", json=wish) for person in some)
        ):
            answer.raise_for_status()
        await one.hub.until_ready(first + len(some), 300, pause=1)
        reporting.note(f"{first + len(some)} sessions are ready")


class Traffic:
    """What people do meanwhile: messages over websockets that stay open, and requests, through the full proxy."""

    def __init__(self, url: str, people: list[str]) -> None:
        self.url, self.people = url, people
        self.sent: Counter[str] = Counter()
        self.back: Counter[str] = Counter()
        self.slowest = 0.0
        self.statuses: Counter[str] = Counter()
        self._stop = asyncio.Event()

    async def __aenter__(self) -> Traffic:
        self.sockets = [
            await websocket_connect(f"{self.url.replace('http', 'ws', 1)}/user/{one}/echo")
            for one in self.people[:SOCKETS]
        ]
        self.tasks = [
            asyncio.create_task(each) for socket in self.sockets for each in (self._send(socket), self._receive(socket))
        ]
        self.asking = asyncio.create_task(self._ask())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await self.asking
        with contextlib.suppress(ScnetError):  # then they are lost
            await until(self._all_back, "What is still under way", 10)
        for socket in self.sockets:
            socket.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _all_back(self) -> bool:
        return self.sent == self.back

    async def _send(self, socket: WebSocketClientConnection) -> None:
        while not self._stop.is_set():
            self.sent[str(id(socket))] += 1
            await socket.write_message(f"{self.sent[str(id(socket))]} {time.monotonic()}")
            await asyncio.sleep(EVERY)

    async def _receive(self, socket: WebSocketClientConnection) -> None:
        """Only the next number counts: one that is missing, or comes twice, is seen."""
        while (message := await socket.read_message()) is not None:
            number, _, at = str(message).partition(" ")
            if int(number) == self.back[str(id(socket))] + 1:
                self.back[str(id(socket))] += 1
                self.slowest = max(self.slowest, time.monotonic() - float(at))

    async def _ask(self) -> None:
        async with httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=30) as http:
            while not self._stop.is_set():
                person = self.people[sum(self.statuses.values()) % len(self.people)]
                try:
                    self.statuses[str((await http.get(f"/user/{person}/api")).status_code)] += 1
                except httpx.HTTPError as error:
                    self.statuses[type(error).__name__] += 1
                await asyncio.sleep(EVERY)

    def report(self) -> Json:
        return {
            "messages": self.sent.total(),
            "messages_lost": self.sent.total() - self.back.total(),
            "slowest_echo_ms": round(self.slowest * 1000),
            "requests": dict(self.statuses),
        }


async def restart(one: Site, wanted: int) -> Json:
    await one.hub.kill()
    await asyncio.sleep(DOWN)
    unknown, used = one.unknown_polls(), sum(one.broker_process.cpu_times()[:2])
    slowest = asyncio.create_task(slowest_answer(one.broker))
    began = await one.hub.start()
    await one.hub.answers()
    answered = time.monotonic() - began
    await one.hub.until_ready(wanted)
    ready = time.monotonic() - began
    slowest.cancel()
    assert one.hub.child is not None
    return {
        "answers_s": round(answered, 3),
        "ready_s": round(ready, 3),
        "cpu_s": round(sum(psutil.Process(one.hub.child.pid).cpu_times()[:2]), 2),
        "broker_cpu_s": round(sum(one.broker_process.cpu_times()[:2]) - used, 2),
        "broker_slowest_ms": round(await slowest * 1000),
        "unknown_polls": one.unknown_polls() - unknown,
    }


async def slowest_answer(broker: httpx.AsyncClient) -> float:
    """Until it is cancelled."""
    slowest = 0.0
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            began = time.monotonic()
            await broker.get("/health")
            slowest = max(slowest, time.monotonic() - began)
            await asyncio.sleep(0.02)
    return slowest


async def take_turns(sides: dict[str, Callable[[], Awaitable[Json]]], rounds: int) -> dict[str, list[Json]]:
    """Every second round goes the other way round. The first warms the caches and is not counted."""
    found: dict[str, list[Json]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name in list(sides) if number % 2 else reversed(list(sides)):
            one = await sides[name]()
            reporting.note(f"round {number}, {name}: {json.dumps(one)}")
            if number:
                found[name].append(one)
    return found


async def measure(sessions: int, rounds: int) -> Json:
    people = [f"person{number:03}" for number in range(sessions)]
    with tempfile.TemporaryDirectory(prefix="sc-", ignore_cleanup_errors=True) as folder:
        async with (
            site(Path(folder) / "f", "full", 1, people) as full,
            site(Path(folder) / "e", "empty", 2, []) as empty,
        ):
            began = time.monotonic()
            await start_sessions(full, people)
            reporting.note(f"all were started in {time.monotonic() - began:.0f} s")
            await until(lambda: has_all(full, sessions), "A job for each session")
            jobs = await full.jobs()
            async with Traffic(full.demo.state.public_url, people) as traffic:
                found = await take_turns(
                    {"full": lambda: restart(full, sessions), "empty": lambda: restart(empty, 0)}, rounds
                )
            kept = await full.jobs()
    return {
        "sessions": sessions,
        "rounds": rounds,
        **{f"{side}_{key}": middle(values, key) for side, values in found.items() for key in MEASURED},
        **{f"ratio_{key.removesuffix('_s')}": ratio(found, key) for key in MEASURED},
        **traffic.report(),
        "sessions_lost": sum(kept.get(session) != job for session, job in jobs.items()),
        "broker_cpu_s": middle(found["full"], "broker_cpu_s"),
        "broker_slowest_ms": max(one["broker_slowest_ms"] for one in found["full"]),
        "unknown_polls": sum(one["unknown_polls"] for one in found["full"]),
        "all": found,
    }


async def has_all(one: Site, wanted: int) -> bool:
    return len(await one.jobs()) == wanted


def middle(values: list[Json], key: str) -> float:
    return round(statistics.median(one[key] for one in values), 3)


def ratio(found: dict[str, list[Json]], key: str) -> float:
    """The median of the rounds' own ratios: what else the machine does changes from round to round, less within one."""
    return round(
        statistics.median(full[key] / empty[key] for full, empty in zip(found["full"], found["empty"], strict=True)), 3
    )


def main() -> None:
    parser = reporting.arguments(__doc__)
    parser.add_argument("--sessions", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    reporting.show(asyncio.run(measure(options.sessions, options.rounds)), as_json=options.json)


if __name__ == "__main__":
    main()
