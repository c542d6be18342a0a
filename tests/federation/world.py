"""A federation of two centres, with faults as named transports: shared by the tests of the federation.

`World` has its centres in memory and a time that no test waits for; `RealWorld` has two daemons of embedded centres,
for the few stories that processes, sockets or a restart of a daemon could change
(`tests/federation/test_real_daemons.py` says which).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from scnet_hub.adapters.centre import Centre
from scnet_hub.adapters.db.database import Database
from scnet_hub.adapters.db.queries import sessions as session_rows
from scnet_hub.demo.embedded import EmbeddedCentre, Settings, centre_toml
from scnet_hub.domain.commands import Command, Completed
from scnet_hub.domain.jobs import JobRequest
from scnet_hub.domain.sessions.records import SessionCopy
from scnet_hub.domain.standard.centre import CentreSpec, parse_centre
from scnet_hub.domain.standard.federation import parse_federation
from scnet_hub.errors import Unreachable
from scnet_hub.services.federation import Federation
from tests.builders.centre import MemoryCentre, Program, seam, stays
from tests.builders.clock import Clock
from tests.builders.database import new_sqlite

PAGE = """
centres = ["north.toml", "south.toml"]
[[project]]
id = "p"
members = ["ada"]
grants = { first = 100 }
quota = { sessions = 10, cores = 20 }
"""
PAYLOAD = {"argv": ["sleep", "300"], "env": {"JUPYTERHUB_API_TOKEN": "t0ken"}}


class Fault:
    """A transport in which something can go wrong: wraps the real one, and counts what was asked."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.away, self.words = inner, False, ""
        self.hangs = 0.0  # seconds, until it is given up
        self.lose_answer_to = ""
        self.says: dict[str, str] = {}  # words of an answer → those that come instead
        self.knows_nothing: set[str] = set()  # commands that are answered with nothing
        self.nothing_once = ""  # a command whose next answer is nothing
        self.broken: set[str] = set()  # commands that fail
        self.asked: list[str] = []

    async def run(self, command: Command, *, account: str = "", timeout: float = 30) -> Completed:
        verb = next(
            word for word in command.argv if word in ("sbatch", "squeue", "scancel", "sinfo", "sacct", "scontrol")
        )
        self.asked.append(verb)
        if self.away:
            raise Unreachable("the network is cut")
        if self.hangs:
            await asyncio.sleep(self.hangs)
            raise Unreachable("it did not end in time")
        if verb == "sbatch" and self.words:
            return Completed(command, 1, "", self.words)
        if verb in self.broken:
            raise Unreachable(f"{verb} does not answer")
        if verb in self.knows_nothing or verb == self.nothing_once:
            self.nothing_once = "" if verb == self.nothing_once else self.nothing_once
            return Completed(command, 0, "", "")
        done: Completed = await self.inner.run(command, account=account, timeout=timeout)
        if verb == self.lose_answer_to:
            self.lose_answer_to = ""
            raise Unreachable("the connection broke after the command was sent")
        for said, instead in self.says.items():
            done = replace(done, stdout=done.stdout.replace(said, instead))
        return done

    async def put(self, path: str, data: bytes, **options: Any) -> None:
        if self.away:
            raise Unreachable("the network is cut")
        await self.inner.put(path, data, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class World:
    """Two centres, a database and the federation over them; `restart` makes a new federation on the same database.
    `more` is added to the federation's page. `centres` are asked as their own users ask them; a job runs what `runs`
    says, else it stays until it is stopped."""

    def __init__(self, home: Path, more: str = "", forget_after: float = 1800, database: str = "") -> None:
        self.home, self.page, self.forget_after = home, PAGE + more, forget_after
        self.database = database or new_sqlite(home / "b.sqlite")
        self.faults: dict[str, Fault] = {}
        self.opens: type[Database] = Database
        self.settings = {
            name: Settings(name=name, index=200 + number, nodes=1, cores=4, min_job_age=5)
            for number, name in enumerate(("north", "south"))
        }
        self.begin()

    def begin(self) -> None:
        self.clock: Any = Clock()
        self.centres: dict[str, Any] = {name: MemoryCentre(one, self.clock) for name, one in self.settings.items()}
        self.runs(stays)

    def runs(self, program: Program, *centres: str) -> None:
        """What jobs of sessions are from now on there, or everywhere, instead of a session's own first process."""
        for name in centres or self.centres:
            self.centres[name].programs["python3"] = program

    def page_of(self, name: str, **page: Any) -> str:
        text: str = self.centres[name].page(**page)
        return text

    def centre(self, name: str, spec: CentreSpec) -> Centre:
        return seam(self.centres[name], spec)

    def build(self) -> Federation:
        centres = {}
        for name in self.centres:
            text = self.page_of(
                name, title=name.title(), directory=self.home / "s" / name, interval=1, busy_interval=0.5
            )
            spec = parse_centre(text.replace("[watch]", f"[watch]\nforget_after = {self.forget_after}"), source=name)
            centre = centres[name] = self.centre(name, spec)
            centre.transport = self.faults[name] = Fault(centre.transport)  # type: ignore[assignment]
        db = self.opens(self.database)
        db.open()
        spec = parse_federation(self.page, source="p")
        return Federation(spec, centres, db, call_home_url="http://127.0.0.1:9/{}", clock=self.clock)

    async def start(self) -> None:
        await self.restart()

    async def restart(self) -> None:
        self.federation = self.build()
        await self.federation.start()
        await self.until(lambda: all(known.snapshot for known in self.federation.states.centres.values()))

    async def kill(self) -> None:
        """The broker dies: its tasks end, nothing is tidied."""
        await self.federation.stop()
        self.federation.db.close()

    async def stop(self) -> None:
        await self.kill()
        for centre in self.centres.values():
            centre.forget()

    async def submit(self, payload: dict[str, Any] = PAYLOAD, /, **options: Any) -> SessionCopy:
        request = JobRequest(**{"person": "ada", "project": "p", "kind": "batch", "name": "x", **options})
        row, _ = await self.federation.submission.submit(request, payload)
        return row

    async def reaches(self, session_id: str, *states: str) -> SessionCopy:
        async def there() -> SessionCopy | None:
            row = await self.federation.lookup.get(session_id)
            return row if row.session.state in states else None

        row: SessionCopy = await self.until(there)
        return row

    async def until(self, true: Callable[[], Any], seconds: float = 30) -> Any:
        async with asyncio.timeout(seconds):
            while True:
                value = true()
                if value := (await value if asyncio.iscoroutine(value) else value):
                    return value
                await asyncio.sleep(0.05)

    async def passes(self, seconds: float) -> None:
        """So much time goes by."""
        await asyncio.sleep(seconds)

    async def fill(self, centre: str) -> str:
        """Takes all cores of a centre; the job's id there, for `scancel`."""
        job: str = self.centres[centre].ask("sbatch", "--parsable", "--cpus-per-task=4", "--wrap=sleep 300").strip()
        known = self.federation.states.centres[centre]
        self.federation.watchers[centre].wake()
        await self.until(lambda: known.snapshot and known.snapshot.partitions["main"].cores_free == 0)
        return job

    async def free(self, centre: str, job: str) -> None:
        self.centres[centre].ask("scancel", job)

    async def copies(self, session_id: str) -> list[SessionCopy]:
        return await self.federation.db.run(session_rows.copies_of, session_id)

    async def log(self, session_id: str) -> str:
        return "\n".join(
            said for _, said in (await self.federation.db.run(session_rows.events_of, [session_id]))[session_id]
        )

    async def listens(self, row: SessionCopy, port: int = 5000) -> None:
        """Calls home as this copy's first process does when its port listens."""
        host = self.federation.centres[row.copy.centre].spec.session.host
        news = {"nonce": row.copy.secret, "phase": "listening", "host": host, "port": port, "node": "n"}
        await self.federation.call_home.call_home(row.session.id, news)

    def jobs(self, session_id: str) -> int:
        """How many jobs of that session's name the centres ever saw."""
        name = f"scnet-{session_id}"
        rows = [
            centre.ask("sacct", "-X", "-n", "-P", f"--name={name}", "-o", "JobID,JobName")
            for centre in self.centres.values()
        ]
        return sum(name in line for text in rows for line in text.splitlines())


class RealWorld(World):
    """The same on two daemons, whose jobs are processes: in real time."""

    def begin(self) -> None:
        self.clock = lambda: datetime.now(UTC)
        self.centres = {name: EmbeddedCentre(self.home / name, one) for name, one in self.settings.items()}
        self.runs(stays)

    def runs(self, program: Program, *centres: str) -> None:
        """`program` is one that can say itself in shell."""
        for name in centres or self.centres:
            path = self.home / f"runs-{name}"
            path.write_text(f"#!/bin/sh\n{program.shell}\n")
            path.chmod(0o755)

    def page_of(self, name: str, **page: Any) -> str:
        return centre_toml(self.centres[name], python=str(self.home / f"runs-{name}"), **page)

    def centre(self, name: str, spec: CentreSpec) -> Centre:
        return Centre.of(spec)

    async def start(self) -> None:
        for centre in self.centres.values():
            await asyncio.to_thread(centre.start)
        await super().start()

    async def stop(self) -> None:
        await self.kill()
        for centre in self.centres.values():
            await asyncio.to_thread(centre.stop)


@pytest.fixture
def virtual_time() -> None:
    """The test runs on a loop whose time nothing waits for: see `tests.builders.clock`, and the hook in
    `tests.conftest`."""


@pytest.fixture
async def world(short_path: Path, virtual_time: None) -> AsyncIterator[World]:
    world = World(short_path)
    await world.start()
    yield world
    await world.stop()
