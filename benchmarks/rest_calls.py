"""What do the broker's calls cost, against another state of this tree? `python benchmarks/rest_calls.py --base PATH
--json`

Two processes, one over this tree and one over the tree at PATH (`git worktree add PATH COMMIT`; of the layout with
`scnet_hub/services`), each with a door over 100 live sessions on an SQLite file of its own, as in live_sessions.py.
They are asked the same in turns. Cost is the process's CPU time, all threads included; the ratio of the rounds' medians
counts, so other work on the machine touches it little.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parents[1]
ROUNDS, TIMES = 7, 20
MOST = 1.1  # of the base's CPU time for a start
ASKED = ("POST sessions", "GET sessions", "GET sessions?brief", "GET sessions/ID", "GET centres", "POST placements")


def child(folder: str) -> None:
    """Reads a call's name from each line of stdin, makes the call, and prints the CPU seconds that it took."""
    from live_sessions import FEW, Broker, by

    broker = Broker(Path(folder), FEW)
    headers, counted = by("p0"), 0
    broker.federation.runtime.signals.launch._handlers.clear()  # the launch that would follow is another cost

    async def ask(call: str) -> None:
        nonlocal counted
        counted += 1
        options: dict[str, Any] = {"kind": "batch", "cores": 1, "walltime": "1h"}
        if call == "POST sessions":
            body = options | {"name": f"new{counted}", "argv": ["python", "train.py"], "env": {"A": "b"}}
            answer = await broker.http.post("sessions", json=body, headers=headers)
        elif call == "POST placements":
            answer = await broker.http.post("placements", json=options, headers=headers)
        else:
            path = call.removeprefix("GET ").replace("?brief", "?brief=1").replace("/ID", f"/{ids[counted % len(ids)]}")
            answer = await broker.http.get(path, headers=headers)
        assert answer.is_success, answer.text[:300]

    async def listen() -> list[str]:
        await broker.fill()
        for heard in broker.federation.runtime.first_looks.values():
            heard.set()  # a start waits for the first word of a centre
        return [one["id"] for one in (await broker.http.get("sessions", headers=headers)).json()["sessions"]]

    async def rounds(call: str) -> float:
        cost = 0.0
        for _ in range(TIMES):
            for name in broker.federation.states.centres:
                broker.look(name)  # a machine under load may take long
            began = time.process_time()
            await ask(call)
            cost += time.process_time() - began
        return cost / TIMES

    with asyncio.Runner() as runner:
        ids = runner.run(listen())
        for line in sys.stdin:
            print(runner.run(rounds(line.strip())), flush=True)


class Tree:
    """A process over one tree."""

    def __init__(self, tree: Path, folder: Path) -> None:
        folder.mkdir()
        paths = os.pathsep.join((str(tree), str(tree / "benchmarks")))
        command = [sys.executable, str(Path(__file__).resolve()), "--child", str(folder)]
        self.process = subprocess.Popen(
            command,
            env=os.environ | {"PYTHONPATH": paths, "PYTHONSAFEPATH": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def cost(self, call: str) -> float:
        assert self.process.stdin and self.process.stdout
        print(call, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(30)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path, help="another state of this tree")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", default="")
    options = parser.parse_args()
    if options.child:
        child(options.child)
        return 0
    if not options.base:
        parser.error("--base: give the path of another state of this tree")
    with tempfile.TemporaryDirectory() as folder:
        trees = {"base": Tree(options.base.resolve(), Path(folder) / "base"), "here": Tree(HERE, Path(folder) / "here")}
        costs: dict[str, dict[str, list[float]]] = {call: {name: [] for name in trees} for call in ASKED}
        for number in range(ROUNDS + 1):
            for call in ASKED:
                for name, tree in trees.items():
                    cost = tree.cost(call)
                    costs[call][name] += [cost] if number else []  # the first round warms up
        for tree in trees.values():
            tree.close()
    found = {
        call: {**{f"{name}_ms": round(1000 * statistics.median(each), 3) for name, each in both.items()}}
        | {"ratio": round(statistics.median(both["here"]) / statistics.median(both["base"]), 3)}
        for call, both in costs.items()
    }
    ok = found["POST sessions"]["ratio"] <= MOST
    if options.json:
        print(json.dumps({"calls": found, "most": MOST, "ok": ok}))
    else:
        for call, one in found.items():
            print(f"{call:20} {one['base_ms']:8.3f} ms → {one['here_ms']:8.3f} ms  × {one['ratio']}")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
