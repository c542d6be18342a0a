"""What watching many centres costs the broker: python benchmarks/centres.py [--centres 22] [--json]

The real broker, over SSH, at as many simulated login nodes (`login_nodes.py`, one other process): 50 nodes and 500 jobs
each. Two times of `--seconds`: *calm*, and *busy* with a session in the queue of each centre, or of the first 22. CPU
is the broker process's own time, as a share of one core; memory its resident set; `placement_ms` the answer to where a
job would go now.
"""

from __future__ import annotations

import asyncio
import json
import re
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncssh
import httpx
import psutil
import reporting
from alpha import note

from scnet_hub.adapters.secret_files import read_secret
from scnet_hub.demo.process import until
from scnet_hub.demo.run import Demo, Setup, running
from scnet_hub.domain.addresses import PREFIX

Json = dict[str, Any]
PERSON = "ada"
BUSY = 22
PAGE = """
id = "{id}"
name = "{id}"
dialect = "slurm"
[transport]
kind = "ssh"
hosts = ["127.0.0.1"]
port = {port}
host_keys = ["{host_key}"]
[identity]
mode = "certificate"
accounts = {{ ada = "ada" }}
[session]
python = "/opt/scnet/session/bin/python"
directory = "/home/{{account}}/.scnet"
home = "/home/{{account}}"
[watch]
interval = {interval}
busy_interval = {busy}
[[partition]]
name = "main"
nodes = 50
cores = 4
"""
FEDERATION = """
centres = [{centres}]
[[project]]
id = "load"
members = ["ada"]
grants = {{ first = 1000000 }}
quota = {{ sessions = 10000, cores = 10000 }}
"""


@asynccontextmanager
async def login_nodes(home: Path, number: int) -> AsyncIterator[tuple[list[int], str, int]]:
    """Their ports, the host key of them all, and the pid of their process."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(home / "host_key")
    script = Path(__file__).with_name("login_nodes.py")
    child = await asyncio.create_subprocess_exec(
        sys.executable, str(script), str(number), str(home / "host_key"), stdout=asyncio.subprocess.PIPE, limit=2**20
    )
    assert child.stdout is not None
    try:
        async with asyncio.timeout(120):
            ports = json.loads(await child.stdout.readline())
        yield ports, key.export_public_key("openssh").decode().strip(), child.pid
    finally:
        child.kill()
        await child.wait()


def write_pages(home: Path, ports: list[int], host_key: str, watch: tuple[float, float]) -> list[str]:
    names = [f"c{number:04}" for number in range(len(ports))]
    (home / "centres").mkdir()
    for name, port in zip(names, ports, strict=True):
        page = PAGE.format(id=name, port=port, host_key=host_key, interval=watch[0], busy=watch[1])
        (home / "centres" / f"{name}.toml").write_text(page)
    (home / "federation.toml").write_text(
        FEDERATION.format(centres=", ".join(f'"centres/{name}.toml"' for name in names))
    )
    return names


async def window(demo: Demo, broker: httpx.AsyncClient, seconds: float) -> Json:
    child = demo.processes["broker"].child
    assert child is not None
    process = psutil.Process(child.pid)
    before, asked, began = sum(process.cpu_times()[:2]), await questions(broker), time.monotonic()
    await asyncio.sleep(seconds)
    took, used = time.monotonic() - began, sum(process.cpu_times()[:2]) - before
    return {
        "core_share": round(used / took, 4),
        "rss_mb": round(process.memory_info().rss / 1e6, 1),
        "questions_per_minute": round((await questions(broker) - asked) * 60 / took),
    }


async def questions(broker: httpx.AsyncClient) -> float:
    text = (await broker.get("/metrics")).text
    return sum(float(value) for value in re.findall(r"^scnet_centre_questions_total{.*} (\S+)$", text, re.MULTILINE))


async def states(broker: httpx.AsyncClient) -> list[str]:
    answer = await broker.get("/centres")
    assert answer.is_success, answer.text
    return [centre["state"] for centre in answer.json()["centres"]]


async def queued(broker: httpx.AsyncClient) -> int:
    return sum(session["state"] == "queued" for session in (await broker.get("/sessions")).json()["sessions"])


async def placement_ms(broker: httpx.AsyncClient) -> float:
    took = []
    for _ in range(5):
        began = time.monotonic()
        answer = await broker.post(
            "/placements", json={"kind": "batch", "cores": 1}, headers={"X-SCNet-Person": PERSON}
        )
        assert answer.is_success, answer.text
        took.append(time.monotonic() - began)
    return round(statistics.median(took) * 1000, 1)


async def measure(number: int, seconds: float, watch: tuple[float, float]) -> Json:
    with tempfile.TemporaryDirectory(prefix="sc-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        async with login_nodes(home, number) as (ports, host_key, _):
            names = write_pages(home, ports, host_key, watch)
            began = time.monotonic()
            async with running(home, Setup(kind="given", with_hub=False), say=note) as demo:
                token = f"token {read_secret(home / 'secrets' / 'hub.token')}"
                url = f"http://127.0.0.1:{demo.state.ports.broker}{PREFIX}"
                async with httpx.AsyncClient(
                    base_url=url, headers={"Authorization": token}, timeout=120, trust_env=False
                ) as broker:

                    async def all_up() -> bool:
                        await asyncio.sleep(0.5)
                        return set(await states(broker)) == {"up"}

                    async def all_queued() -> bool:
                        await asyncio.sleep(0.5)
                        return await queued(broker) == min(number, BUSY)

                    await until(all_up, "Every centre", 300)
                    report: Json = {
                        "centres": number,
                        "all_up_s": round(time.monotonic() - began, 1),
                        "watch_s": list(watch),
                    }
                    await asyncio.sleep(watch[0])  # the first looks are over
                    report["calm"] = await window(demo, broker, seconds)
                    note(json.dumps(report))
                    report["placement_ms"] = await placement_ms(broker)
                    for name in names[:BUSY]:
                        wish = {"kind": "batch", "name": name, "centre": name, "cores": 1, "argv": ["sleep", "3600"]}
                        (
                            await broker.post("/sessions", json=wish, headers={"X-SCNet-Person": PERSON})
                        ).raise_for_status()
                    await until(all_queued, "A session in every queue", 300)
                    report["busy"] = await window(demo, broker, seconds)
    return report


def main() -> None:
    parser = reporting.arguments(__doc__)
    parser.add_argument("--centres", type=int, default=22)
    parser.add_argument("--seconds", type=float, default=120, help="length of each of the two measurements")
    parser.add_argument("--watch", type=float, nargs=2, default=(30, 10), help="seconds between looks, calm and busy")
    options = parser.parse_args()
    report = asyncio.run(measure(options.centres, options.seconds, tuple(options.watch)))
    reporting.show(report, as_json=options.json)


if __name__ == "__main__":
    main()
