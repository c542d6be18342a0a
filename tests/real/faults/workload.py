"""People at work: each of up to forty seats starts a session, uses it, stops it and starts the next, whatever is broken
meanwhile.

Batch jobs and Dask workers go through the REST door, labs through the hub, all with a person's own token at the public
address. A person who gets no answer asks again under the same name; one who gets a "no" reads it. All that is asked and
answered is told to the history.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from .arena import PEOPLE, PROJECT, Arena
from .history import History

Json = dict[str, Any]
API = "/services/scnet/api/v1"
HEARTBEAT = ["sh", "-c", 'i=0; while :; do i=$((i+1)); echo "beat $i $(date +%s)"; sleep 5; done']
BEAT = 5.0
SHORT = ["sh", "-c", 'i=0; while [ $i -lt "$0" ]; do i=$((i+5)); echo "beat $i $(date +%s)"; sleep 5; done']
SHARES = {"a": 5, "b": 5, "c": 5, "d": 2, "": 5}  # where a session is pinned, "": nowhere; d is small and slow
PATIENCE = 600.0  # how long a person goes on asking for one session


@dataclass(frozen=True, kw_only=True)
class Mix:
    """How many seats of each kind, and how long a session is used. Every `keeps`-th seat keeps its first session to the
    end."""

    labs: int = 1
    lights: int = 9  # labs whose server is a stand-in
    workers: int = 4
    finite: int = 6  # batch jobs that end by themselves
    batch: int = 20
    use: tuple[float, float] = (25.0, 100.0)
    keeps: int = 4
    seed: int = 0

    @property
    def seats(self) -> int:
        return self.labs + self.lights + self.workers + self.finite + self.batch


@dataclass
class Seat:
    """One place at which sessions are started, one after the other. `session` is the one that is used now."""

    name: str
    kind: str  # "lab", "light", "dask", "finite" or "batch"
    person: str
    keeps: bool
    dice: random.Random
    session: str = ""
    ready: bool = False
    round: int = 0

    @property
    def is_lab(self) -> bool:
        return self.kind in ("lab", "light")

    @property
    def server(self) -> str:
        return f"/users/{self.person}/servers/{self.name}"

    @property
    def wish(self) -> Json:
        centre = self.dice.choices(list(SHARES), list(SHARES.values()))[0]
        return {"centre": centre} if centre else {}


def seats(mix: Mix) -> list[Seat]:
    kinds = (
        ["lab"] * mix.labs
        + ["light"] * mix.lights
        + ["dask"] * mix.workers
        + ["finite"] * mix.finite
        + ["batch"] * mix.batch
    )
    return [
        Seat(
            name=f"{kind}-{number}", kind=kind, person=PEOPLE[number % len(PEOPLE)],
            keeps=kind != "finite" and number % mix.keeps == 0, dice=random.Random(f"{mix.seed}:{number}"),
        )
        for number, kind in enumerate(kinds)
    ]  # fmt: skip


@dataclass
class Workload:
    """`calm` is cleared for moments in which nothing may be started or stopped. `run()` until `over` is set; sessions
    then stay."""

    arena: Arena
    history: History
    mix: Mix
    calm: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.calm.set()
        self.seats = seats(self.mix)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number, seat in enumerate(self.seats):
                group.create_task(self._sit(seat, number * 0.4))

    async def _sit(self, seat: Seat, after: float) -> None:
        async with self.arena.person(seat.person) as http:
            await self._pause(after)
            while not self.over.is_set():
                await self._one(seat, http)
                await self._pause(seat.dice.uniform(1, 5))

    async def _one(self, seat: Seat, http: httpx.AsyncClient) -> None:
        seat.round += 1
        seat.ready = False
        began = time.monotonic()
        if not await self._start(seat, http):
            return
        if await self._until_ready(seat, http):
            self.history.tell("ready", seat=seat.name, session=seat.session, seconds=round(time.monotonic() - began, 2))
            seat.ready = True
        await self._use(seat, http)
        if self.over.is_set() or not seat.session:
            return
        if seat.kind != "finite":
            await self.stop(seat, http)
        seat.session = ""

    # ---- starting

    async def _start(self, seat: Seat, http: httpx.AsyncClient) -> bool:
        """Asks until there is an answer; True if it is a session."""
        name, wish, words = f"{seat.name}.{seat.round}", seat.wish, ""
        self.history.tell("start", seat=seat.name, round=seat.round, kind=seat.kind, **wish)
        deadline = time.monotonic() + PATIENCE
        while not self.over.is_set() and time.monotonic() < deadline:
            await self.calm.wait()
            try:
                answer = await (self._click(seat, wish, http) if seat.is_lab else self._submit(seat, name, wish, http))
            except httpx.HTTPError as error:
                words = f"no answer ({type(error).__name__})"
            else:
                if answer.status_code in (200, 201, 202):
                    if seat.session or (seat.is_lab and await self._session_of(seat, http)):
                        self.history.tell(
                            "accepted",
                            seat=seat.name,
                            round=seat.round,
                            session=seat.session,
                            status=answer.status_code,
                        )
                        return True
                    words = await self._why_not(seat, http) or "the hub took it, and no session came of it"
                else:
                    words = said(answer)
                    # an earlier click had started it
                    if seat.is_lab and answer.status_code == 400 and await self._session_of(seat, http):
                        self.history.tell(
                            "accepted", seat=seat.name, round=seat.round, session=seat.session, status=200
                        )
                        return True
                    if (
                        400 <= answer.status_code < 500
                        and answer.status_code not in (401, 403, 408, 429)
                        and "pending" not in words
                    ):
                        self.history.tell(
                            "refused", seat=seat.name, round=seat.round, status=answer.status_code, words=words
                        )
                        return False
            self.history.tell("unanswered", seat=seat.name, round=seat.round, words=words)
            await self._pause(seat.dice.uniform(1.5, 4))
        self.history.tell("gave-up", seat=seat.name, round=seat.round, words=words or "the run ended")
        return False

    async def _submit(self, seat: Seat, name: str, wish: Json, http: httpx.AsyncClient) -> httpx.Response:
        argv = [*SHORT, str(seat.dice.randrange(20, 90))] if seat.kind == "finite" else HEARTBEAT
        kind = "dask" if seat.kind == "dask" else "batch"
        body = {"kind": kind, "name": name, "argv": argv, "walltime": "2h", "memory": "1G", "project": PROJECT, **wish}
        answer = await http.post(f"{API}/sessions", json=body)
        if answer.status_code in (200, 201):
            seat.session = answer.json()["id"]
        return answer

    async def _click(self, seat: Seat, wish: Json, http: httpx.AsyncClient) -> httpx.Response:
        return await http.post(
            f"/hub/api{seat.server}", json={"cores": 1, "memory": "1G", "walltime": "2h", "project": PROJECT, **wish}
        )

    async def _session_of(self, seat: Seat, http: httpx.AsyncClient) -> bool:
        """The session that the hub started for this seat; "" if it said no after all: its words are in the history."""
        for _ in range(40):
            if self.over.is_set():
                break
            with contextlib.suppress(httpx.HTTPError, KeyError, ValueError):
                listed = (await http.get(f"{API}/sessions")).json()["sessions"]
                found = [
                    one["id"]
                    for one in listed
                    if one["kind"] == "lab" and one["name"] == seat.name and one["state"] != "stopping"
                ]
                if found:
                    seat.session = found[0]
                    return True
                if (await self._server(seat, http)) == {}:
                    return False
            await self._pause(1)
        return False

    async def _server(self, seat: Seat, http: httpx.AsyncClient) -> Json | None:
        """The hub's model of this server, {} if it has none; None if the hub doesn't say."""
        try:
            answer = await http.get(f"/hub/api/users/{seat.person}")
            model = answer.json()["servers"].get(seat.name, {})
            return model if model.get("ready") or model.get("pending") else {}
        except (httpx.HTTPError, ValueError, KeyError):
            return None

    async def _why_not(self, seat: Seat, http: httpx.AsyncClient) -> str:
        """What the page of a start that failed says; "" if nothing."""
        with contextlib.suppress(httpx.HTTPError, ValueError, TimeoutError):
            async with asyncio.timeout(5):
                answer = await http.get(f"/hub/api{seat.server}/progress", headers={"Accept": "text/event-stream"})
            events = [json.loads(line[5:]) for line in answer.text.splitlines() if line.startswith("data:")]
            return str(next((event["message"] for event in events if event.get("failed")), ""))[:300]
        return ""

    async def _until_ready(self, seat: Seat, http: httpx.AsyncClient) -> bool:
        """Follows the session until it is ready (a lab: until the hub says so too), or over."""
        seen = -1
        while not self.over.is_set():
            document = await self.document(seat.session, http, wait=15, seen=seen)
            if document is None:
                await self._pause(2)
                continue
            seen = document["version"]
            if document["state"] in ("ready", "ended", "charged") or not document["live"]:
                if (
                    document["state"] == "ready"
                    and seat.is_lab
                    and not ((await self._server(seat, http)) or {}).get("ready")
                ):
                    seen = -1
                    await self._pause(1)
                    continue
                if not document["live"]:
                    self.history.tell("over", seat=seat.name, session=seat.session, words=document["end_reason"])
                    return document["state"] == "charged" and bool(document["ready_at"])
                return True
            if seen >= 0 and document["live"] and document["state"] == "stopping":
                return False
        return False

    async def document(self, session: str, http: httpx.AsyncClient, *, wait: int = 0, seen: int = -1) -> Json | None:
        """The session as the broker tells it; None if nobody answers."""
        try:
            answer = await http.get(f"{API}/sessions/{session}", params={"wait": wait, "seen": seen})
            document: Json = answer.json()
            return document if answer.status_code == 200 else None
        except (httpx.HTTPError, ValueError):
            return None

    # ---- using

    async def _use(self, seat: Seat, http: httpx.AsyncClient) -> None:
        """Until its time is over: now and then one looks at it; ends early when it is over by itself."""
        ends = float("inf") if seat.keeps else time.monotonic() + seat.dice.uniform(*self.mix.use)
        while not self.over.is_set() and time.monotonic() < ends:
            await self._pause(min(10.0, max(0.1, ends - time.monotonic())))
            document = await self.document(seat.session, http)
            if document is not None and not document["live"]:
                self.history.tell("over", seat=seat.name, session=seat.session, words=document["end_reason"])
                seat.session = ""
                return
            if seat.is_lab and document and document["state"] == "ready":
                ok, words = await self.answers(seat, http)
                self.history.tell("used", seat=seat.name, session=seat.session, ok=ok, words=words)

    async def answers(self, seat: Seat, http: httpx.AsyncClient) -> tuple[bool, str]:
        """Whether what the session runs is reached: a lab's API through the proxy, a program's heartbeat in its log."""
        try:
            if seat.is_lab:
                answer = await http.get(f"/user/{seat.person}/{seat.name}/api/status")
                if answer.status_code != 200:
                    return False, f"{answer.status_code} {said(answer)}"
                session = answer.json().get("session", seat.session)
                return session == seat.session, "" if session == seat.session else f"reached session {session}"
            answer = await http.get(f"{API}/sessions/{seat.session}/log", params={"size": 100})
            last = answer.json()["log"].strip().splitlines()[-1].split()
            age = time.time() - float(last[2])
            return age < 3 * BEAT, f"its last heartbeat is {age:.0f} s old"
        except (httpx.HTTPError, ValueError, KeyError, IndexError) as error:
            return False, f"{type(error).__name__}: {error}"

    # ---- stopping

    async def stop(self, seat: Seat, http: httpx.AsyncClient) -> None:
        """Asks until the wish was taken; from then on it is the product's. Waits until it is over, or for a minute."""
        self.history.tell("stop", seat=seat.name, session=seat.session)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and not self.over.is_set():
            await self.calm.wait()
            with contextlib.suppress(httpx.HTTPError):
                path = f"/hub/api{seat.server}" if seat.is_lab else f"{API}/sessions/{seat.session}"
                answer = await http.delete(path)
                if answer.status_code in (200, 202, 204, 404) or (
                    seat.is_lab and answer.status_code == 400 and "not running" in said(answer)
                ):
                    self.history.tell("stop-taken", seat=seat.name, session=seat.session, status=answer.status_code)
                    break
            await self._pause(seat.dice.uniform(1.5, 4))
        for _ in range(30):
            document = await self.document(seat.session, http)
            if document is not None and not document["live"]:
                return
            await self._pause(2)
            if self.over.is_set():
                return

    async def _pause(self, seconds: float) -> None:
        """Shorter if the run ends."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.over.wait()


def said(answer: httpx.Response) -> str:
    """An answer's sentence: of a problem document, of the hub, or of a page."""
    try:
        document = answer.json()
    except ValueError:
        return f"{answer.status_code} {answer.text.strip()[:200]}".strip()
    if not isinstance(document, dict):
        return json.dumps(document)[:200]
    return str(document.get("title") or document.get("message") or document.get("detail") or json.dumps(document))[:300]


@contextlib.asynccontextmanager
async def doors(arena: Arena) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
    """A client for each person."""
    async with contextlib.AsyncExitStack() as stack:
        yield {person: await stack.enter_async_context(arena.person(person)) for person in PEOPLE}
