"""One running demo for the tests of this folder: started by the command that a person types, with its centres kept
calm."""

from __future__ import annotations

import asyncio
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import pytest

from scnet_hub.adapters.secret_files import read_secret
from scnet_hub.client import Client
from scnet_hub.domain.addresses import PREFIX
from scnet_hub.hub.ports import Ports

Json = dict[str, Any]
SCNET = str(Path(sys.executable).parent / "scnet")


@dataclass(frozen=True)
class Running:
    """A demo under test, seen from outside."""

    home: Path
    url: str
    passwords: dict[str, str]
    process: subprocess.Popen[str]

    @property
    def ports(self) -> Ports:
        return Ports.read(self.home)

    @cached_property
    def operator(self) -> Client:
        return Client(self.url + PREFIX, read_secret(self.home / "secrets" / "operator.token"))

    def as_hub(self, person: str) -> httpx.Client:
        """The broker's door as the hub's spawner uses it, for one person."""
        token = read_secret(self.home / "secrets" / "hub.token")
        headers = {"Authorization": f"token {token}", "X-SCNet-Person": person}
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.ports.broker}{PREFIX}/", headers=headers, trust_env=False, timeout=30
        )

    def pid(self, name: str) -> int:
        import json

        pid: int = json.loads((self.home / "run" / f"{name}.json").read_text())["pid"]
        return pid


def start(home: Path, *options: str, calm: bool = True, environment: Mapping[str, str] | None = None) -> Running:
    env = {key: value for key, value in os.environ.items() if not key.startswith(("JUPYTERHUB_", "SCNET_"))}
    env |= environment or {}
    process = subprocess.Popen(
        [SCNET, "demo", "--home", str(home), *(["--calm"] if calm else []), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=env,
        cwd=home,
    )
    said = read_until(process, "Stop with Ctrl-C", 90)
    url = re.search(r"ready after .* (https?://\S+)", said)
    assert url, said
    passwords = dict(re.findall(r"^    (\w+) +(\w{4}-\w{4}-\w{4}-\w{4})$", said, re.MULTILINE))
    return Running(home, url[1], passwords, process)


def read_until(process: subprocess.Popen[str], words: str, seconds: float) -> str:
    assert process.stdout is not None
    said, deadline = "", time.monotonic() + seconds
    with selectors.DefaultSelector() as ready:
        ready.register(process.stdout, selectors.EVENT_READ)
        while words not in said:
            if not ready.select(max(0, deadline - time.monotonic())):
                raise TimeoutError(f"the demo did not say {words!r} in {seconds} s: {said}")
            chunk = os.read(process.stdout.fileno(), 65536).decode()
            if not chunk:
                raise RuntimeError(f"the demo ended: {said}")
            said += chunk
    return said


def stop(demo: Running) -> str:
    """Ctrl-C, and what it said on the way out."""
    demo.process.send_signal(signal.SIGINT)
    said, _ = demo.process.communicate(timeout=60)
    return said


@pytest.fixture(scope="module")
def demo() -> Iterator[Running]:
    import shutil
    import tempfile

    home = Path(tempfile.mkdtemp(prefix="sc-"))
    running = start(home)
    wait_for(lambda: all(centre["state"] == "up" for centre in running.operator.centres()))
    yield running
    if running.process.poll() is None:
        stop(running)
    shutil.rmtree(home, ignore_errors=True)


def wait_for(true: Any, seconds: float = 60) -> Any:
    """Polls until `true()` is true; returns its value. Errors count as not yet."""
    deadline = time.monotonic() + seconds
    while True:
        last: object
        try:
            if value := true():
                return value
            last = value
        except Exception as error:
            last = error
        assert time.monotonic() < deadline, f"not in {seconds} s; last: {last!r}"
        time.sleep(0.1)


async def eventually(true: Any, seconds: float = 60) -> Any:
    return await asyncio.to_thread(wait_for, true, seconds)
