"""One run: the federation up, people at work, the schedule striking; then calm, a last look at everything, and the
evidence.

Returns what the checker reads; states nothing itself. All that it starts ends with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from tests.real.testbed import Testbed

from . import accounting, books
from .actions import NotNow, strike
from .arena import Arena, arena, log_in
from .catalogue import FAULTS
from .checker import Allowed
from .evidence import Answer, Broken, Entry, Evidence, Run, Session, Sighting, Start
from .history import History
from .schedule import Step
from .workload import Mix, Seat, Workload, doors

Json = dict[str, Any]
Say = Callable[[str], None]
LOOK = 20.0  # seconds between two looks at the centres' queues
SETTLED_WITHIN = 210.0
STOPPED_WITHIN = 150.0
MENDED_WITHIN = 120.0


@dataclass
class Course:
    """A run in its course. `before`: accounting of centres that died since; `broken_now`: targets, while they are;
    `others`: jobs (centre, name) that were there when it began."""

    arena: Arena
    history: History
    workload: Workload
    say: Say
    broken_now: set[str] = field(default_factory=set)
    before: list[Run] = field(default_factory=list)
    others: set[tuple[str, str]] = field(default_factory=set)

    @property
    def ask(self) -> accounting.Ask:
        return accounting.asked_of(self.arena.testbed)


async def run(
    testbed: Testbed,
    environment: Path,
    steps: Sequence[Step],
    seconds: float,
    folder: Path,
    *,
    mix: Mix,
    allowed: Allowed,
    say: Say,
) -> tuple[Evidence, list[Json]]:
    """The evidence and the operations log, which is also `folder/operations.jsonl`."""
    history = History(folder / "operations.jsonl")
    say("starting the federation")
    up = contextlib.ExitStack()
    there = await asyncio.to_thread(up.enter_context, arena(testbed, environment))
    try:
        await log_in(there)
        course = Course(there, history, Workload(there, history, mix), say)
        await _course(course, steps, seconds, allowed)
        return await asyncio.to_thread(_evidence, course), history.lines()
    finally:
        history.close()
        await asyncio.to_thread(_keep_logs, there, folder)
        await asyncio.to_thread(up.close)


def _keep_logs(there: Arena, folder: Path) -> None:
    for log in (there.home / "logs").glob("*.log"):
        (folder / log.name).write_bytes(log.read_bytes())
    with contextlib.suppress(OSError):
        (folder / "broker.sqlite").write_bytes(there.database.read_bytes())


async def _course(course: Course, steps: Sequence[Step], seconds: float, allowed: Allowed) -> None:
    for centre in course.arena.testbed.centres:
        course.others |= {(centre, name) for _, name in await asyncio.to_thread(accounting.live, course.ask, centre)}
    began = time.monotonic()
    work = asyncio.create_task(course.workload.run())
    looks = asyncio.create_task(_look(course))
    try:
        async with asyncio.TaskGroup() as group:
            for step in steps:
                group.create_task(_step(course, step, began))
        await asyncio.sleep(max(0.0, began + seconds - time.monotonic()))
        course.say("all is mended; settling")
        course.history.tell("mended")
        course.workload.over.set()
        await work
        await _settle(course, allowed)
        await _last_look(course)
        await _stop_all(course)
    finally:
        for task in (work, looks):
            task.cancel()
        await asyncio.gather(work, looks, return_exceptions=True)


# ---- the nemesis


async def _step(course: Course, step: Step, began: float) -> None:
    """Strikes at its time and mends at its time; a fault that could not be struck is said, not hidden."""
    await asyncio.sleep(max(0.0, began + step.begins - time.monotonic()))
    facts = {"name": step.name, "target": step.target, "at_": step.at}
    course.broken_now.add(step.target)
    course.history.tell("break", **facts)
    course.say(f"{time.monotonic() - began:5.0f} s  {step.name} {step.target} {step.at}".rstrip())
    outcome = "failed"
    try:
        outcome = await _strike(course, step)
        if outcome == "struck":
            await asyncio.sleep(max(0.0, began + step.ends - time.monotonic()))
        else:
            course.history.tell("not-now", **facts)
    finally:
        if outcome != "not-now":
            await _mend(course, step, patient=outcome == "struck")
        course.history.tell("mend", **facts)
        course.broken_now.discard(step.target)


async def _strike(course: Course, step: Step) -> str:
    """ "struck"; "not-now" if nothing was done; "failed" if perhaps something was: that is mended all the same."""
    try:
        if step.name == "dead":
            course.before += await _until_told(course, step.target)
        if step.name == "ctl-kill":
            course.workload.calm.clear()
        await asyncio.to_thread(strike, course.arena, step.name, step.target, step.at)
        return "struck"
    except Exception as error:
        course.history.tell("strike-failed", name=step.name, target=step.target, words=str(error)[:300])
        course.say(f"         not now: {error}")
        return "not-now" if isinstance(error, NotNow) else "failed"
    finally:
        course.workload.calm.set()


async def _until_told(course: Course, centre: str) -> list[Run]:
    """Its accounting as it is now; what lives dies with it."""
    try:
        told = await asyncio.to_thread(accounting.runs, course.ask, centre, course.arena.births.get(centre, 0))
    except (RuntimeError, ValueError, subprocess.TimeoutExpired) as error:
        raise NotNow(f"its accounting does not answer: {error}") from error
    return [replace(one, live=False, ended=time.time()) if one.live else one for one in told]


async def _mend(course: Course, step: Step, *, patient: bool) -> None:
    """Again and again until it worked; raises what stood in the way for too long. Not `patient`: once, as nothing may
    be broken."""
    deadline = time.monotonic() + MENDED_WITHIN
    while True:
        try:
            return await asyncio.to_thread(strike, course.arena, FAULTS[step.name].opposite, step.target, step.at)
        except Exception as error:
            course.history.tell("mend-failed", name=step.name, target=step.target, words=str(error)[:300])
            if not patient:
                return
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(2)


# ---- looking


async def _look(course: Course) -> None:
    """What lives at the centres, and whether the broker knows of it."""
    while True:
        await asyncio.sleep(LOOK)
        for centre in course.arena.testbed.centres:
            if centre not in course.broken_now:
                with contextlib.suppress(Exception):  # a centre that breaks while it is asked is asked the next time
                    await _look_at(course, centre)


async def _look_at(course: Course, centre: str) -> None:
    found = await asyncio.to_thread(accounting.live, course.ask, centre)
    jobs = [(job_id, name) for job_id, name in found if (centre, name) not in course.others]
    known = await asyncio.to_thread(books.jobs_known, course.arena.database)
    strangers = {job for job in jobs if not {(centre, job[1], job[0]), (centre, job[1], "")} & known}
    listed = await asyncio.to_thread(_orphans, course.arena) if strangers else set()
    for job_id, name in jobs:
        told = (centre, job_id) in listed
        if (job_id, name) in strangers:
            course.history.tell("stranger", centre=centre, job=job_id, name=name, listed=told)
        course.history.tell(
            "sighting", centre=centre, job=job_id, name=name, known=told or (job_id, name) not in strangers
        )


def _orphans(there: Arena) -> set[tuple[str, str]]:
    """(centre, job) of those that the broker lists; none if it does not answer."""
    with contextlib.suppress(httpx.HTTPError, ValueError, KeyError):
        return {(job["centre"], job["job_id"]) for job in _operators(there, "orphans").json()["jobs"]}
    return set()


def _operators(there: Arena, path: str) -> httpx.Response:
    token = (there.home / "secrets" / "operator.token").read_text().strip()
    return httpx.get(f"{there.api}/{path}", headers={"Authorization": f"token {token}"}, timeout=20, trust_env=False)


async def _settle(course: Course, allowed: Allowed) -> None:
    """Waits until every centre is up and every session's fate is known, and at least until a ghost would have to be
    listed."""
    deadline = time.monotonic() + SETTLED_WITHIN
    least = time.monotonic() + allowed.recovery + allowed.reconcile + LOOK + 5
    while time.monotonic() < deadline:
        calm = await asyncio.to_thread(_is_calm, course.arena)
        if calm and time.monotonic() > least:
            break
        await asyncio.sleep(3)
    course.history.tell("settled", calm=calm)


def _is_calm(there: Arena) -> bool:
    try:
        centres = _operators(there, "centres").json()["centres"]
        live = _operators(there, "sessions").json()["sessions"]
    except (httpx.HTTPError, ValueError, KeyError):
        return False
    return all(one["state"] == "up" for one in centres) and not any(
        one["unknown_since"] or one["state"] == "intent" for one in live
    )


async def _last_look(course: Course) -> None:
    """Whether each session that is called ready is reached: asked a few times, by its own person."""
    live = {one.id for one in books.sessions(course.arena.database) if one.live and one.state == "ready"}
    async with doors(course.arena) as people:
        seats = [seat for seat in course.workload.seats if seat.session in live]
        await asyncio.gather(*(_ask(course, seat, people[seat.person]) for seat in seats))


async def _ask(course: Course, seat: Seat, http: httpx.AsyncClient) -> None:
    ok, words = False, ""
    for _ in range(10):
        ok, words = await course.workload.answers(seat, http)
        if ok:
            break
        await asyncio.sleep(2)
    course.history.tell("last", seat=seat.name, session=seat.session, ok=ok, words=words)


async def _stop_all(course: Course) -> None:
    """As an operator; until the broker has settled everything, or the time is up."""
    course.say("stopping what is left")
    asked: set[str] = set()
    deadline = time.monotonic() + STOPPED_WITHIN
    while time.monotonic() < deadline:
        sessions = await asyncio.to_thread(books.sessions, course.arena.database)
        for one in sessions:
            if one.live and one.id not in asked:
                asked.add(one.id)
                course.history.tell("stop", session=one.id)
                await asyncio.to_thread(course.arena.running.operator.stop, one.id)
                course.history.tell("stop-taken", session=one.id)
        if all(one.state == "charged" for one in sessions):
            break
        await asyncio.sleep(2)
    course.history.tell("stopped")


# ---- the evidence


def _evidence(course: Course) -> Evidence:
    runs = list(course.before)
    for centre in course.arena.testbed.centres:
        runs += accounting.runs(course.ask, centre, course.arena.births.get(centre, 0))
    written = books.sessions(course.arena.database), books.entries(course.arena.database)
    return evidence(course.history.lines(), *written, runs, wrong=_verify(course.arena), ended=time.time())


def _verify(there: Arena) -> list[str]:
    """What `scnet ledger verify --json` finds wrong."""
    scnet = Path(sys.executable).parent / "scnet"
    token = (there.home / "secrets" / "operator.token").read_text().strip()
    done = subprocess.run(
        [scnet, "ledger", "verify", "--json"],
        env={"PATH": os.environ["PATH"], "SCNET_API_URL": there.api, "SCNET_TOKEN": token},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    audit: Json = json.loads(done.stdout) if done.stdout else {"ok": False, "problems": []}
    problems: list[str] = audit["problems"]
    right = audit["ok"] and done.returncode == 0
    return problems or ([] if right else [f"`scnet ledger verify` exits with {done.returncode}: {done.stderr.strip()}"])


def evidence(
    lines: Iterable[Json],
    sessions: Iterable[Session],
    entries: Iterable[Entry],
    runs: Iterable[Run],
    *,
    ended: float,
    wrong: Iterable[str] = (),
) -> Evidence:
    """From the operations log and what was read at the end."""
    lines = list(lines)
    finite = {line["session"] for line in lines if line["op"] == "accepted" and line["seat"].startswith("finite")}
    stops: dict[str, float] = {}
    for line in lines:
        if line["op"] == "stop":
            stops.setdefault(line["session"], ended)  # wished; to be done from when it was taken
        elif line["op"] == "stop-taken":
            stops[line["session"]] = min(line["at"], stops.get(line["session"], ended))
    return Evidence(
        ended=ended, starts=tuple(_starts(lines)), stops=stops, finite=frozenset(finite), sessions=tuple(sessions),
        entries=tuple(entries), wrong=tuple(wrong), runs=tuple(runs), broken=tuple(_broken(lines, ended)),
        sightings=tuple(
            Sighting(at=one["at"], centre=one["centre"], job_id=one["job"], name=one["name"], known=one["known"])
            for one in lines if one["op"] == "sighting"
        ),
        answers=tuple(Answer(session=one["session"], ok=one["ok"],
        words=one["words"]) for one in lines if one["op"] == "last"),
    )  # fmt: skip


def _starts(lines: list[Json]) -> Iterable[Start]:
    ends = {(one["seat"], one["round"]): one for one in lines if one["op"] in ("accepted", "refused", "gave-up")}
    for line in lines:
        if line["op"] == "start":
            end = ends.get((line["seat"], line["round"]), {"op": "gave-up"})
            yield Start(at=line["at"], outcome=end["op"], session=end.get("session", ""), words=end.get("words", ""))


def _broken(lines: list[Json], ended: float) -> Iterable[Broken]:
    """Those that were struck; one that was never mended lasts to the end."""
    open_: dict[tuple[str, str], Json] = {}
    for line in lines:
        if line["op"] == "break":
            open_[line["name"], line["target"]] = line
        elif line["op"] == "not-now":
            open_.pop((line["name"], line["target"]), None)
        elif line["op"] == "mend" and (begun := open_.pop((line["name"], line["target"]), None)):
            yield Broken(name=line["name"], target=line["target"], at=line["at_"], began=begun["at"], ended=line["at"])
    for begun in open_.values():
        yield Broken(name=begun["name"], target=begun["target"], at=begun["at_"], began=begun["at"], ended=ended)
