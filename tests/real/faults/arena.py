"""The federation under test: a hub, broker and proxy as `scnet demo` starts them, over the testbed's four centres, with
a disk of its own.

Knows how to start, reach, break into and end it. Its database lies on a small file system that can be filled; its
broker's clock can be put back; its centres' pages lead to the stand-in for light labs. What it started, it ends.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from scnet_hub.demo.browser import Browser
from tests.real.testbed import Testbed, life
from tests.real.testbed.layout import CENTRES
from tests.system.demo.conftest import Running, start, wait_for

HERE = Path(__file__).parent
SESSION, STAND_IN = "/opt/scnet/session", "/opt/scnet/faults"
DISK = "48m"
FORGET_AFTER = 30  # seconds after which a centre that came to life empty has lost a job for good
PEOPLE = ("ada", "grace")
PROJECT = "climate"
FEDERATION = f"""\
name = "A federation to break"
centres = ["centres/*.toml"]

[[project]]
id = "{PROJECT}"
title = "Climate extremes"
members = ["ada", "grace"]
grants = {{ "first" = 1000000 }}
quota = {{ sessions = 200, cores = 400, gpus = 20 }}

[[profile]]
id = "small"
title = "Small"
description = "Write, look at data, first steps."
cores = 1
memory = "1G"
walltime = "2h"
"""


@dataclass
class Arena:
    """`births`: how often each centre came to life; `tokens`: by person."""

    testbed: Testbed
    environment: Path
    running: Running
    folder: Path
    tokens: dict[str, str] = field(default_factory=dict)
    births: dict[str, int] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.running.home

    @property
    def database(self) -> Path:
        return self.home / "disk" / "broker.sqlite"

    @property
    def clock(self) -> Path:
        """While this file exists, the broker's clock is an hour behind."""
        return self.folder / "clock"

    @property
    def api(self) -> str:
        return f"{self.running.url}/services/scnet/api/v1"

    def person(self, person: str) -> httpx.AsyncClient:
        """The public address as this person's programs use it."""
        headers = {"Authorization": f"token {self.tokens[person]}"}
        return httpx.AsyncClient(
            base_url=self.running.url, headers=headers, timeout=30, trust_env=False, follow_redirects=False
        )

    def dress(self, centre: str) -> None:
        """Shows the session environment and the stand-in at a centre."""
        self.testbed.bind(self.environment, SESSION, centre)
        self.testbed.bind(HERE / "node", STAND_IN, centre)

    def pid(self, process: str) -> int:
        return self.running.pid(process)

    def answers(self, process: str) -> bool:
        """Whether hub, broker or proxy answers, asked at its own port."""
        ports = self.running.ports
        url = {
            "hub": f"http://127.0.0.1:{ports.hub}/hub/api/",
            "broker": f"http://127.0.0.1:{ports.broker}/services/scnet/api/v1/health",
            "proxy": f"{self.running.url}/hub/api/",
        }[process]
        try:
            return httpx.get(url, timeout=2, trust_env=False).status_code < 400
        except httpx.HTTPError:
            return False


@contextmanager
def arena(testbed: Testbed, environment: Path) -> Iterator[Arena]:
    """The federation, up, with its people logged in; ended whatever happens, and its disk let go."""
    folder = Path(tempfile.mkdtemp(prefix="sc-"))
    home = folder / "home"
    running = None
    try:
        _prepare(testbed, home)
        paths = [str(HERE / "clock"), *filter(None, [os.environ.get("PYTHONPATH")])]
        made = {"PYTHONPATH": os.pathsep.join(paths), "FAULTS_CLOCK": str(folder / "clock")}
        running = start(home, "--centres", "given", "--host", testbed.hub, environment=made)
        there = Arena(testbed, environment, running, folder)
        for centre in testbed.centres:
            there.dress(centre)
        wait_for(lambda: {centre["state"] for centre in running.operator.centres()} == {"up"}, 90)
        yield there
    finally:
        if running is not None:
            end(running)
        subprocess.run(["umount", "-l", str(home / "disk")], capture_output=True, timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


def _prepare(testbed: Testbed, home: Path) -> None:
    home.mkdir(mode=0o700)
    testbed.outfit(home, watch=(6, 2), listen_port=secrets.choice(range(19000, 29000)))
    for page in (home / "centres").glob("*.toml"):
        text = page.read_text().replace(f"{SESSION}/bin/python", f"{STAND_IN}/python")
        page.write_text(text.replace("[watch]\n", f"[watch]\nforget_after = {FORGET_AFTER}\n"))
    (home / "federation.toml").write_text(FEDERATION)
    disk = home / "disk"
    disk.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=700", "faults", str(disk)], check=True, timeout=30)
    (home / "broker.sqlite").symlink_to(disk / "broker.sqlite")


def end(running: Running) -> None:
    """As Ctrl-C does; a demo that does not end in time is killed, and its processes by the numbers that it wrote
    down."""
    pids = [json.loads(file.read_text())["pid"] for file in (running.home / "run").glob("*.json")]
    for pid in pids:
        _signal(pid, "CONT")
    running.process.terminate()
    try:
        running.process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        running.process.kill()
        running.process.communicate()
        for pid in pids:
            _signal(pid, "KILL")


def _signal(pid: int, name: str) -> None:
    subprocess.run(["kill", "-s", name, str(pid)], capture_output=True, timeout=10)


async def log_in(there: Arena) -> None:
    """A token for each person, as they would make it on the hub's page Token."""
    for person in PEOPLE:
        async with Browser(there.running.url, person) as browser:
            await browser.log_in(there.running.passwords[person])
            headers = {"X-XSRFToken": browser.xsrf("/hub/"), "Referer": f"{browser.url}/hub/token"}
            answer = await browser.http.post(
                f"/hub/api/users/{person}/tokens", json={"note": "faults"}, headers=headers
            )
            answer.raise_for_status()
            there.tokens[person] = answer.json()["token"]


def revive(there: Arena, centre: str) -> None:
    """A centre that was dead comes to life as an empty one: no jobs, no accounting, ids from 1 again."""
    life.start(CENTRES[centre], there.testbed.place, there.testbed.folder)
    there.births[centre] = there.births.get(centre, 0) + 1
    there.dress(centre)


def fill(folder: Path) -> None:
    """Writes until there is no room left."""
    with (folder / "full").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 16))
        except OSError:
            os.fsync(file.fileno())


def until(true: object, seconds: float) -> bool:
    """Whether `true()` became so in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():  # type: ignore[operator]
            return True
        time.sleep(0.2)
    return False
