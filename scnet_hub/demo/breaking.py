"""`scnet demo --break`: kills processes one by one while a notebook computes, and counts the failures that a person
noticed.

The notebook's kernel counts in a thread of its own and records the time of each step; meanwhile its page is requested
and its kernel is used, as in an open browser tab. At the end the session is stopped, and charged once from its centre's
accounting.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from ..adapters.secret_files import read_secret
from ..client.rest import Client
from ..display.session_states import READY
from ..errors import ScnetError
from .browser import Browser, Kernel
from .check import PERSON, live_lab, until, until_charged
from .run import Demo, Setup, running

Json = dict[str, Any]
Say = Callable[[str], None]
COMPUTE = """
import threading, time
steps = []
def compute():
    while True:
        sum(i * i for i in range(20000)); steps.append(time.time()); time.sleep(0.02)
threading.Thread(target=compute, daemon=True).start()
"""
TOLD = "print([len(steps), max((b - a for a, b in zip(steps[{0}:], steps[{0} + 1:])), default=0.0)])"
LOOKS = 0.1  # seconds between looks at the page
AWAY = 4.0  # seconds that a fault hangs a process
SILENT = 20.0  # seconds that the scheduler hangs: longer than any caller waits for its answer


@dataclass(slots=True)
class Seen:
    """What a person noticed: answers of the page and of the kernel, and how often the connection was opened again."""

    pages: int = 0
    pages_failed: int = 0
    answers: int = 0
    reconnected: int = 0


@dataclass(frozen=True, slots=True)
class Tab:
    """A browser's open tab: the page and a kernel, to which the tab connects again when the connection breaks."""

    person: Browser
    kernel: list[Kernel] = field(default_factory=list)

    async def run(self, code: str, seen: Seen) -> str:
        while True:
            try:
                return await self.kernel[-1].run(code, seconds=60)
            except ScnetError as error:
                if error.code != "kernel-gone":
                    raise
                await self._again(seen)

    async def _again(self, seen: Seen) -> None:
        seen.reconnected += 1
        async with asyncio.timeout(60):
            while True:
                with suppress(Exception):  # whatever error says that the server is away: a browser tries again, too
                    self.kernel.append(await self.person.again(self.kernel[-1]))
                    return
                await asyncio.sleep(0.2)


async def run_breaking(home: Path, *, kind: str, say: Say) -> Json:
    """Runs the whole demonstration in a state folder of its own; `ok` only if the notebook never stopped and was
    charged once."""
    report: Json = {"ok": False, "faults": []}
    try:
        async with running(home, Setup(kind=kind), say=say) as demo:
            await _demonstrate(demo, report, say)
        report["ok"] = all(one["ok"] for one in report["faults"])
    except ScnetError as error:
        report |= {"error": str(error), "hint": error.hint, "code": error.code}
    return report


async def _demonstrate(demo: Demo, report: Json, say: Say) -> None:
    operator = Client(demo.state.api_url, read_secret(demo.state.home / "secrets" / "operator.token"))
    await until(lambda: all(centre["state"] == "up" for centre in operator.centres()), "a centre did not come up")
    async with Browser(demo.state.public_url, PERSON) as person:
        await person.log_in(demo.state.passwords[PERSON])
        say(f"starting a notebook; you can open it: {demo.state.public_url}, {PERSON}, {demo.state.passwords[PERSON]}")
        await person.start(profile="small")
        await person.until_lab_answers()
        session = await asyncio.to_thread(live_lab, operator)
        tab = Tab(person, [await person.kernel()])
        await tab.run(COMPUTE, Seen())
        for name, act in faults(demo, session["centre"]):
            say(name)
            report["faults"].append(await _under(name, act, tab))
            say("    " + words(report["faults"][-1]))
        report |= await _bill(person, operator, session, say)


async def _under(name: str, act: Callable[[], Awaitable[None]], tab: Tab) -> Json:
    """Causes one fault with an open tab. `longest_pause_s` is the longest time between two steps of the computation."""
    seen, began = Seen(), time.monotonic()
    before, _ = json.loads(await tab.run(TOLD.format(0), seen))
    async with _watching(tab, seen):
        await act()
        await _page_comes(tab, seen)
    steps, pause = json.loads(await tab.run(TOLD.format(before), seen))
    seen.answers += 1
    return {
        "fault": name, "took_s": round(time.monotonic() - began, 1), "steps": steps - before,
        "longest_pause_s": round(pause, 2), "pages": seen.pages, "pages_failed": seen.pages_failed,
        "kernel_answers": seen.answers, "reconnected": seen.reconnected,
        "ok": steps > before and (not seen.pages_failed or "proxy" in name),
    }  # fmt: skip


@asynccontextmanager
async def _watching(tab: Tab, seen: Seen) -> Any:
    tasks = [asyncio.create_task(_look(tab, seen)), asyncio.create_task(_speak(tab, seen))]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):
            raise end


async def _look(tab: Tab, seen: Seen) -> None:
    while True:
        good = await _page(tab)
        seen.pages += good
        seen.pages_failed += not good
        await asyncio.sleep(LOOKS)


async def _page_comes(tab: Tab, seen: Seen) -> None:
    """Waits until the page answers again, and counts the answer. Raises ScnetError if it does not within half a
    minute."""
    began = time.monotonic()
    while not await _page(tab):
        if time.monotonic() - began > 30:
            raise ScnetError("the notebook's page did not come back", code="page-gone")
        await asyncio.sleep(LOOKS)
    seen.pages += 1


async def _page(tab: Tab) -> bool:
    try:
        return (await tab.person.http.get(f"/user/{PERSON}/api/contents")).status_code == 200
    except httpx.HTTPError:
        return False


async def _speak(tab: Tab, seen: Seen) -> None:
    number = 0
    while True:
        number += 1
        answer = (await tab.run(f"print({number} * 2)", seen)).strip()
        if answer != str(number * 2):
            raise ScnetError(f"the kernel answered {answer!r} for {number} * 2", code="wrong-answer")
        seen.answers += 1
        await asyncio.sleep(LOOKS)


def faults(demo: Demo, centre: str) -> list[tuple[str, Callable[[], Awaitable[None]]]]:
    """Returns the faults in order, each with the function that causes it and waits until it is repaired."""
    return [
        ("kill -9 the hub", lambda: _kill(demo, "hub")),
        ("kill -9 the broker", lambda: _kill(demo, "broker")),
        ("kill -9 hub and broker together", lambda: _kill(demo, "hub", "broker")),
        ("the hub hangs", lambda: _hang([_pid(demo, "hub")], AWAY)),
        (f"the scheduler of {centre} hangs", lambda: _hang(demo.centres.controller(centre), SILENT)),
        ("kill -9 the proxy, which all traffic passes", lambda: _kill(demo, "proxy")),
    ]


def _pid(demo: Demo, name: str) -> int:
    child = demo.processes[name].child
    assert child is not None
    return child.pid


async def _kill(demo: Demo, *names: str) -> None:
    """Kills processes and waits until the demo has started them again."""
    old = {name: _pid(demo, name) for name in names}
    for pid in old.values():
        os.kill(pid, signal.SIGKILL)
    for name, pid in old.items():
        await demo.processes[name].started_after(pid)
        await demo.processes[name].ready()


async def _hang(pids: list[int], seconds: float) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


async def _bill(person: Browser, operator: Client, session: Json, say: Say) -> Json:
    say("stopping it, and waiting for the charge")
    same = await asyncio.to_thread(operator.session, session["id"])
    if (same["state"], same["job_id"]) != (READY, session["job_id"]):
        raise ScnetError(
            f"the session is {same['state']} as job {same['job_id']}, it was job {session['job_id']}", code="lost"
        )
    await person.stop()
    charged = await until_charged(operator, session["id"])
    entries = await asyncio.to_thread(operator.call, "GET", "entries", params={"project": session["project"]})
    kinds = sorted(entry["kind"] for entry in entries["entries"] if entry["session"] == session["id"])
    if kinds != ["charge", "hold"]:
        raise ScnetError(f"the books have the entries {kinds} for this session", code="wrong-charge")
    return {
        "session": session["id"],
        "centre": session["centre"],
        "job_id": session["job_id"],
        "charged": charged["charged"],
    }


def words(one: Json) -> str:
    """Returns one fault's line for people."""
    noticed = f"{one['pages_failed']} of {one['pages'] + one['pages_failed']} pages failed"
    again = ", the tab connected again" if one["reconnected"] else ""
    return (
        f"{one['took_s']} s: {one['steps']} steps computed, longest pause {one['longest_pause_s']} s; {noticed}{again}"
    )
