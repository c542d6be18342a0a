"""Resident memory of hub, broker and proxy with idle sessions: python benchmarks/memory.py [--sessions 20] [--json]

Real JupyterLab sessions of as many people, started through the start form; after they have been idle for ten seconds
the resident set sizes are summed (shared pages count more than once, so the true figure is lower).
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path

import psutil
import reporting

from scnet_hub.demo.browser import Browser
from scnet_hub.demo.run import Demo, Setup, running
from scnet_hub.hub.authenticator import make_people

MIB = 2**20


async def start(demo: Demo, person: str, password: str) -> None:
    async with Browser(demo.state.public_url, person) as browser:
        await browser.log_in(password)
        await browser.start(profile="small")
        await browser.until_lab_answers()


async def measure(sessions: int) -> dict[str, object]:
    people = [f"person{number:02}" for number in range(sessions)]
    with tempfile.TemporaryDirectory(prefix="sc-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        async with running(home, Setup(background=False), say=reporting.note) as demo:
            passwords = make_people(home / "people.json", people)
            page = home / "federation.toml"
            text = page.read_text().replace(
                'members = ["ada", "grace"]', f"members = {json.dumps(['ada', 'grace', *people])}"
            )
            page.write_text(text.replace("sessions = 12, cores = 24", f"sessions = {sessions}, cores = {sessions}"))
            broker = demo.processes["broker"]
            assert broker.child is not None
            broker.child.terminate()  # it comes back with the new page
            await asyncio.sleep(1)
            await broker.ready()
            for person in people:
                await start(demo, person, passwords[person])
                reporting.note(f"{person} is ready")
            await asyncio.sleep(10)
            rss = {
                name: psutil.Process(process.child.pid).memory_info().rss
                for name, process in demo.processes.items()
                if process.child
            }
    return {
        "sessions": sessions,
        **{f"{name}_mib": round(size / MIB) for name, size in rss.items()},
        "sum_mib": round(sum(rss.values()) / MIB),
    }


def main() -> None:
    parser = reporting.arguments(__doc__)
    parser.add_argument("--sessions", type=int, default=20)
    options = parser.parse_args()
    reporting.show(asyncio.run(measure(options.sessions)), as_json=options.json)


if __name__ == "__main__":
    main()
