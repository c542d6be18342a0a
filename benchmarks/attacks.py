"""What others notice while one member attacks: python benchmarks/attacks.py [--bare] [--rounds 3] [--seconds 5]
[--json]

A demo on this machine behind nginx as docs/how-to/address.md configures it (`--bare`: without), and three attacks by
ada from a process of her own, each in turns with calm: *fifo*, her job turned its log into a FIFO and she asks for it
six times at once;
*pipelined*, she sends 1,600 lists over 40 connections without reading; *logins*, fifty wrong passwords at once, again
 and again.
Meanwhile grace lists her sessions at the broker, or the hub is asked for its health. Numbers are the rounds' median
ratios of the 95th percentile under attack over that in calm, and the growth of the broker's resident memory.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the tests' nginx

import reporting

from scnet_hub.client import Client
from scnet_hub.demo.browser import Browser
from scnet_hub.demo.run import Demo, Setup, running
from scnet_hub.demo.state import some_free_port
from tests.system.demo.front import Front

MOST_LATE, MOST_MEMORY = 1.2, 1.5
PAUSE = 0.1  # seconds between two questions of the one that notices: under the rate that a caller is allowed
FIFO = 'log=$(readlink /proc/self/fd/1); rm -f "$log"; mkfifo "$log"; sleep 3600'
Json = dict[str, Any]


# ---- the attacks, each for ever, in a process that is ended


def trust() -> ssl.SSLContext:
    """What SSL_CERT_FILE names, if anything."""
    return ssl.create_default_context()


async def fifo(url: str, token: str, session: str) -> None:
    async with httpx.AsyncClient(
        headers={"Authorization": f"token {token}"}, trust_env=False, timeout=60, verify=trust()
    ) as http:

        async def again() -> None:
            while True:
                await http.get(f"{url}/sessions/{session}/log")

        await asyncio.gather(*(again() for _ in range(6)))


async def pipelined(url: str, token: str) -> None:
    where = urlsplit(url)
    ask = (
        f"GET {where.path}/sessions?all=1 HTTP/1.1\r\nHost: {where.netloc}\r\nAuthorization: token {token}\r\n\r\n"
    ).encode()
    tls = trust() if where.scheme == "https" else None
    while True:
        crowd = [await asyncio.open_connection(where.hostname, where.port, ssl=tls) for _ in range(40)]
        for _, writer in crowd:
            writer.write(ask * 40)
        await asyncio.sleep(2)
        for _, writer in crowd:
            writer.close()


async def logins(url: str) -> None:
    async def again() -> None:
        async with Browser(url, "ada", tls=trust()) as browser:
            await browser.http.get("/hub/login")
            while True:
                form = {"username": "ada", "password": "wrong", "_xsrf": browser.xsrf("/hub/")}
                await browser.http.post("/hub/login", data=form)

    await asyncio.gather(*(again() for _ in range(50)))


ATTACKS = {"fifo": fifo, "pipelined": pipelined, "logins": logins}


@asynccontextmanager
async def attacked(name: str, *words: str) -> AsyncIterator[None]:
    child = await asyncio.create_subprocess_exec(sys.executable, __file__, "--attack", name, *words)
    try:
        await asyncio.sleep(1)  # it has begun
        assert child.returncode is None, f"the attack {name} ended by itself"
        yield
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


# ---- what others notice


async def late(http: httpx.AsyncClient, url: str, seconds: float) -> float:
    """The 95th percentile of the answers' times, in seconds, of one question after the other."""
    found, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.perf_counter()
        answer = await http.get(url)
        found.append(time.perf_counter() - began)
        assert answer.status_code == 200, (url, answer.status_code, answer.text[:200])
        await asyncio.sleep(PAUSE)
    return statistics.quantiles(found, n=20)[-1]


def resident(demo: Demo) -> int:
    child = demo.processes["broker"].child
    assert child is not None
    return int(psutil.Process(child.pid).memory_info().rss)


async def token_of(demo: Demo, person: str) -> str:
    async with Browser(demo.state.public_url, person, tls=trust()) as browser:
        await browser.log_in(demo.state.passwords[person])
        answer = await browser.http.post(f"/hub/api/users/{person}/tokens", json={}, headers=browser._headers("/hub/"))
        answer.raise_for_status()
        return str(answer.json()["token"])


async def measure(rounds: int, seconds: float, bare: bool) -> Json:
    with tempfile.TemporaryDirectory(prefix="sc-", ignore_cleanup_errors=True) as folder, ExitStack() as ends:
        port, url = some_free_port([]), ""
        if not bare:
            front = Front(Path(tempfile.mkdtemp(dir=folder)), port)
            ends.callback(front.close)
            url, os.environ["SSL_CERT_FILE"] = f"https://localhost:{front.port}/", str(front.certificate)
        home = Path(folder) / "home"
        async with running(home, Setup(port=port, url=url, background=False), say=reporting.note) as demo:
            return report(await attack_all(demo, rounds, seconds))


async def attack_all(demo: Demo, rounds: int, seconds: float) -> Json:
    ada, grace = [await token_of(demo, person) for person in ("ada", "grace")]
    public = demo.state.public_url.rstrip("/")
    broker, hub = f"{public}/services/scnet/api/v1", f"{public}/hub/health"
    job = await asyncio.to_thread(
        lambda: Client(broker, ada).submit(kind="batch", name="fifo", argv=["bash", "-c", FIFO])
    )
    words = {"fifo": (broker, ada, job["id"]), "pipelined": (broker, ada), "logins": (demo.state.public_url,)}
    seen: Json = {}
    headers = {"Authorization": f"token {grace}"}
    async with httpx.AsyncClient(headers=headers, trust_env=False, timeout=60, verify=trust()) as http:
        for name in ATTACKS:
            url = hub if name == "logins" else f"{broker}/sessions"
            await late(http, url, 2)  # warm
            seen[name] = [await one_round(demo, http, url, name, words[name], seconds) for _ in range(rounds)]
    return seen


async def one_round(
    demo: Demo, http: httpx.AsyncClient, url: str, name: str, words: tuple[str, ...], seconds: float
) -> tuple[float, ...]:
    """p95 in calm and under attack, and the broker's memory before and after."""
    calm, before = await late(http, url, seconds), resident(demo)
    async with attacked(name, *words):
        under = await late(http, url, seconds)
        return calm, under, before, resident(demo)


def report(seen: Json) -> Json:
    rows = {}
    for name, rounds in seen.items():
        ratio = statistics.median(under / calm for calm, under, _, _ in rounds)
        memory = max(after for *_, after in rounds) / rounds[0][2]
        rows[name] = {
            "calm_p95_ms": round(statistics.median(one[0] for one in rounds) * 1000, 1),
            "attacked_p95_ms": round(statistics.median(one[1] for one in rounds) * 1000, 1),
            "ratio": round(ratio, 2), "memory": round(memory, 2), "holds": ratio <= MOST_LATE and memory <= MOST_MEMORY,
        }  # fmt: skip
    return {
        "most_ratio": MOST_LATE,
        "most_memory": MOST_MEMORY,
        "attacks": rows,
        "holds": all(row["holds"] for row in rows.values()),
    }


def main() -> None:
    parser = reporting.arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--bare", action="store_true", help="the proxy itself, without nginx before it")
    parser.add_argument("--attack", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.attack:
        return asyncio.run(ATTACKS[options.attack[0]](*options.attack[1:]))
    reporting.show(asyncio.run(measure(options.rounds, options.seconds, options.bare)), as_json=options.json)


if __name__ == "__main__":
    main()
