"""Click to ready while centres are lost: python benchmarks/lost_centres.py [--lost 3] [--rounds 4] [--clicks 20]
[--json]

A whole federation, hub, broker and proxy: three embedded centres, where clicks go, and so many more over SSH
(`login_nodes.py`). Those are lost as a node that hangs is lost, by SIGSTOP: what is under way gets no answer until its
time is up, and a new login is accepted and never greeted. Blocks of clicks with none and with all of them lost take
turns, from the first moment of the loss on. A click is a start through the hub's REST until the hub says that the
server is ready (`session_stand_in.py`, so nearly all of it is ours). Before each click another person starts a
session at a centre over SSH, in both kinds of blocks; while these centres are lost, that start hangs.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import centres
import reporting
from alpha import note
from hub_restart import Site, stand_in

from scnet_hub.demo.embedded import EmbeddedCentre, Settings, centre_toml
from scnet_hub.demo.process import until
from scnet_hub.demo.run import Setup, running

Json = dict[str, Any]
GIB = 2**30
HERE = ("alpha", "beta", "gamma")
PERSON, ANOTHER = "grace", "ada"  # who clicks, and who starts sessions at the others
FEDERATION = """
centres = [{centres}]
[[project]]
id = "load"
members = ["ada", "grace"]
grants = {{ first = 1000000 }}
quota = {{ sessions = 10000, cores = 10000 }}
"""


class Lost:
    """The login nodes' process, and the names of its centres."""

    def __init__(self, pid: int, names: Sequence[str]) -> None:
        self.pid, self.names = pid, names

    def lose(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def back(self) -> None:
        os.kill(self.pid, signal.SIGCONT)


@asynccontextmanager
async def federation(home: Path, number: int) -> AsyncIterator[tuple[Site, Lost]]:
    async with centres.login_nodes(home, number) as (ports, host_key, pid):
        lost = Lost(pid, centres.write_pages(home, ports, host_key, (15, 3)))
        here = {
            name: EmbeddedCentre(
                home / name, Settings(name=name, index=index, nodes=1, cores=16, memory=64 * GIB, min_job_age=30)
            )
            for index, name in enumerate(HERE, start=1)
        }
        for name, centre in here.items():
            page = centre_toml(centre, title=name.title(), python=str(stand_in(home)), directory=home / "sessions")
            (home / "centres" / f"{name}.toml").write_text(page)
        listed = ", ".join(f'"centres/{name}.toml"' for name in (*HERE, *lost.names))
        (home / "federation.toml").write_text(FEDERATION.format(centres=listed))
        try:
            for centre in here.values():
                await asyncio.to_thread(centre.start)
            async with running(home, Setup(kind="given", with_hub=False), say=note) as demo, Site(demo).up() as site:
                (await site.hub.api.post("/users", json={"usernames": [PERSON]})).raise_for_status()
                yield site, lost
        finally:
            lost.back()
            for centre in here.values():
                await asyncio.to_thread(centre.stop)


async def click(site: Site) -> float:
    """From the click until the hub says that it is ready; then it is stopped, and its end waited for."""
    began = time.monotonic()
    (
        await site.hub.api.post(f"/users/{PERSON}/server", json={"cores": 1, "memory": "1G", "walltime": "1h"})
    ).raise_for_status()
    async with asyncio.timeout(120), site.hub.api.stream("GET", f"/users/{PERSON}/server/progress") as events:
        async for line in events.aiter_lines():
            event = json.loads(line[5:]) if line.startswith("data:") else {}
            if event.get("failed"):
                sys.exit(f"a click failed: {event}")
            if event.get("ready"):
                break
    took = time.monotonic() - began
    mine = await own(site)
    if [one["centre"] in HERE for one in mine] != [True]:
        sys.exit(f"a click went astray: {mine}")
    (await site.hub.api.delete(f"/users/{PERSON}/server")).raise_for_status()
    await until(lambda: nothing_of(site), "The end of the session")
    return took


async def own(site: Site) -> list[Json]:
    answer = await site.broker.get("/sessions", headers={"X-SCNet-Person": PERSON})
    return [one for one in answer.json()["sessions"] if one["live"]]


async def nothing_of(site: Site) -> bool:
    return not await own(site)


async def elsewhere(site: Site, centre: str, number: int) -> None:
    """Somebody's start at that centre: the broker takes it, whatever becomes of it there."""
    wish = {"kind": "batch", "name": f"n{number}", "centre": centre, "cores": 1, "argv": ["sleep", "3600"]}
    answer = await site.broker.post("/sessions", json=wish, headers={"X-SCNet-Person": ANOTHER})
    if answer.status_code != 201:
        note(f"{centre}: {answer.json()['title']}")  # once its loss is known, the broker says no


async def block(site: Site, lost: Lost, clicks: int, numbers: count[int]) -> list[float]:
    took = []
    for _ in range(clicks):
        number = next(numbers)
        if lost.names:
            await elsewhere(site, lost.names[number % len(lost.names)], number)
        took.append(await click(site))
    return took


async def measure(number: int, rounds: int, clicks: int) -> Json:
    numbers: count[int] = count()
    blocks: dict[str, list[list[float]]] = {"none": [], "lost": []}
    with tempfile.TemporaryDirectory(prefix="sc-", ignore_cleanup_errors=True) as folder:
        async with federation(Path(folder), number) as (site, lost):

            async def all_up() -> bool:
                await asyncio.sleep(0.5)
                return set(await centres.states(site.broker)) == {"up"}

            await until(all_up, "Every centre", 120)
            await block(site, lost, 3, numbers)  # warms the caches
            for turn in range(rounds):
                for kind in ("none", "lost") if turn % 2 else ("lost", "none"):
                    if kind == "lost":
                        lost.lose()
                    blocks[kind].append(await block(site, lost, clicks, numbers))
                    if kind == "lost":
                        note(f"the centres were {sorted(await centres.states(site.broker))}")
                        lost.back()
                        await until(all_up, "Every centre after the loss", 120)
                    note(f"round {turn}, {kind}: median {statistics.median(blocks[kind][-1]):.3f} s")
    every = {kind: sorted(value for one in found for value in one) for kind, found in blocks.items()}
    return {
        "centres": len(HERE) + number,
        "lost": number,
        "clicks": len(every["lost"]),
        **{f"{kind}_median_s": round(statistics.median(found), 3) for kind, found in every.items()},
        **{f"{kind}_p90_s": round(found[int(len(found) * 0.9)], 3) for kind, found in every.items()},
        "ratio": round(statistics.median(every["lost"]) / statistics.median(every["none"]), 3),
        "ratio_of_rounds": round(
            statistics.median(
                statistics.median(lost) / statistics.median(none)
                for lost, none in zip(blocks["lost"], blocks["none"], strict=True)
            ),
            3,
        ),
        "all_s": {kind: [[round(value, 3) for value in one] for one in found] for kind, found in blocks.items()},
    }


def main() -> None:
    parser = reporting.arguments(__doc__)
    parser.add_argument("--lost", type=int, default=3, help="centres that are lost, beside the three that are not")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--clicks", type=int, default=20, help="of a block")
    options = parser.parse_args()
    report = asyncio.run(measure(options.lost, options.rounds, options.clicks))
    reporting.show(report, as_json=options.json)


if __name__ == "__main__":
    main()
