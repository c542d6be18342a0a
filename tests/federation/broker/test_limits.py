"""Tests how much work the broker takes at once: a lane for each caller, a bounded line; on a real server where only
that can show it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from scnet_hub.broker.app import Faults, problem
from scnet_hub.broker.auth import Gate
from scnet_hub.broker.concurrency import Bounds, Lanes
from scnet_hub.broker.limits import PIECE, TURN, Limits
from scnet_hub.errors import Overloaded, TooMany

from .door import by, vouch

SMALL = Bounds(at_work=2, in_line=3, resting=2, all_at_work=3, all_in_line=6, hubs=1)
ADA, EVE, HUB = ("person", "ada"), ("person", "eve"), ("hub", "ada")


async def settle() -> None:
    """Lets all that can go on do so."""
    for _ in range(20):
        await asyncio.sleep(0)


class Work:
    """Requests that are at work until they are let go."""

    def __init__(self, lanes: Lanes) -> None:
        self.lanes, self.over, self.began = lanes, asyncio.Event(), list[tuple[str, str]]()
        self.tasks: list[asyncio.Task[None]] = []

    def come(self, key: tuple[str, str], times: int = 1) -> None:
        self.tasks += [asyncio.create_task(self._one(key)) for _ in range(times)]

    async def _one(self, key: tuple[str, str]) -> None:
        async with self.lanes.turn(key):
            self.began.append(key)
            await self.over.wait()

    async def end(self) -> list[BaseException | None]:
        self.over.set()
        return await asyncio.gather(*self.tasks, return_exceptions=True)


async def test_a_callers_crowd_waits_in_its_own_lane_and_is_refused_at_its_end() -> None:
    lanes = Lanes(SMALL)
    work = Work(lanes)
    work.come(ADA, 7)
    await settle()
    assert work.began == [ADA] * 2 and (lanes.counts.at_work, lanes.counts.in_line) == (2, 3)
    work.come(EVE)
    work.come(HUB)
    await settle()
    assert work.began == [ADA, ADA, EVE, HUB], "others are not kept waiting"
    ended = await work.end()
    assert [type(one) for one in ended if one] == [TooMany] * 2 and len(work.began) == 7
    assert lanes.counts.most <= SMALL.all_at_work + SMALL.hubs and lanes.counts.at_work == lanes.counts.in_line == 0
    assert not lanes._lanes, "a caller who has gone leaves nothing behind"


async def test_a_crowd_of_callers_is_refused_as_overloaded_and_the_hub_is_not() -> None:
    lanes = Lanes(SMALL)
    work = Work(lanes)
    for number in range(12):
        work.come(("person", f"p{number}"))
    await settle()
    work.come(HUB)
    await settle()
    assert work.began[-1] == HUB and lanes.counts.at_work == 4 and lanes.counts.in_line == 6
    ended = [one for one in await work.end() if one]
    assert [type(one) for one in ended] == [Overloaded] * 3
    assert isinstance(ended[0], Overloaded) and ended[0].details["retry_after_s"] == SMALL.retry_after


async def test_one_that_waits_for_a_change_keeps_no_other_from_work() -> None:
    lanes, changed = Lanes(SMALL), asyncio.Event()

    async def poll() -> None:
        async with lanes.turn(ADA) as turn, turn.rest():
            await changed.wait()

    polls = [asyncio.create_task(poll()) for _ in range(2)]
    await settle()
    work = Work(lanes)
    work.come(ADA, 2)
    await settle()
    assert len(work.began) == 2 and lanes.counts.resting == 2
    assert await work.end() == [None, None]
    with pytest.raises(TooMany, match="You already have 2 requests that wait for changes"):
        async with lanes.turn(ADA) as turn, turn.rest():
            raise AssertionError("it rests")
    changed.set()
    await asyncio.gather(*polls)
    assert lanes.counts.resting == lanes.counts.at_work == 0


async def test_who_waits_too_long_is_refused_and_gives_its_place_up() -> None:
    lanes = Lanes(Bounds(at_work=1, all_at_work=1, patience=0.01))
    work = Work(lanes)
    work.come(ADA)
    await settle()
    with pytest.raises(TooMany, match="waited 0"):
        async with lanes.turn(ADA):
            raise AssertionError("it is at work")
    with pytest.raises(Overloaded):
        async with lanes.turn(EVE):
            raise AssertionError("it is at work")
    assert await work.end() == [None]
    async with lanes.turn(EVE):
        assert lanes.counts.at_work == 1


# ---- through a server


class App:
    """Answers when it is told to; counts what is at work, and what was stopped."""

    def __init__(self, body: bytes = b"x") -> None:
        self.body, self.open, self.at_work, self.most, self.stopped = body, asyncio.Event(), 0, 0, 0
        self.changed = asyncio.Condition()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/health":
            return await Response(b"free")(scope, receive, send)
        await self._count(1)
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.stopped += 1
            raise
        finally:
            await asyncio.shield(self._count(-1))
        assert TURN in scope
        await Response(self.body)(scope, receive, send)

    async def _count(self, change: int) -> None:
        async with self.changed:
            self.at_work += change
            self.most = max(self.most, self.at_work)
            self.changed.notify_all()

    async def until(self, at_work: int, stopped: int = 0) -> None:
        async with asyncio.timeout(30), self.changed:
            await self.changed.wait_for(lambda: self.at_work == at_work and self.stopped >= stopped)


def limited(app: ASGIApp, bounds: Bounds, sent_within: float = 20) -> tuple[ASGIApp, Limits]:
    gate = Gate("http://hub/hub/api", "h" * 64, http=httpx.AsyncClient(transport=httpx.MockTransport(vouch)))
    limits = Limits(app, gate, Lanes(bounds), problem, sent_within=sent_within)
    return Faults(limits), limits


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[int]:
    """The port of a real server."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(app, lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=1)
    )
    task = asyncio.create_task(server.serve(sockets=[listener]))
    yield int(listener.getsockname()[1])
    server.should_exit = True
    await task


def request(path: str, person: str, method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: token {person}\r\nContent-Length: 0\r\n\r\n".encode()


async def test_1600_pipelined_requests_are_a_few_at_a_time_and_others_are_answered() -> None:
    app = App()
    outer, limits = limited(app, Bounds())
    await limits.gate.caller("token ada", "")
    await limits.gate.caller("token eve", "")
    async with serving(outer) as port, asyncio.timeout(60):
        crowd = [await asyncio.open_connection("127.0.0.1", port) for _ in range(80)]
        for _, writer in crowd:
            writer.write(request("/list", "ada") * 20)
        await app.until(at_work=limits.lanes.bounds.at_work)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request("/list", "eve"))
        await app.until(at_work=limits.lanes.bounds.at_work + 1)
        assert limits.lanes.counts.in_line <= limits.lanes.bounds.in_line
        app.open.set()
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        for each, _ in crowd:
            head = await each.readuntil(b"\r\n\r\n")
            assert head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 429"))
            if head.startswith(b"HTTP/1.1 429"):
                assert b"retry-after: 2" in head.lower()
        for _, one in [*crowd, (reader, writer)]:
            one.close()
    assert app.most <= limits.lanes.bounds.at_work + 1 and limits.lanes.counts.refused


async def test_what_reads_is_stopped_when_its_client_has_gone_and_what_writes_is_carried_out() -> None:
    app = App()
    outer, _ = limited(app, Bounds())
    async with serving(outer) as port, asyncio.timeout(60):
        for method in ("GET", "POST"):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request("/list", "ada", method))
            await app.until(at_work=1)
            writer.close()
            if method == "GET":
                await app.until(at_work=0, stopped=1)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
            asking = asyncio.create_task(http.get("/list", headers=by("ada")))
            await app.until(at_work=2)
            app.open.set()
            assert (await asking).text == "x"
        await app.until(at_work=0)
    assert app.stopped == 1


async def test_a_slow_reader_keeps_its_own_place_only_and_no_more_than_pieces_in_memory() -> None:
    body = b"y" * (64 * PIECE)
    app = App(body)
    app.open.set()
    outer, limits = limited(app, Bounds(all_at_work=1))
    await limits.gate.caller("token ada", "")
    await limits.gate.caller("token eve", "")
    async with serving(outer) as port, asyncio.timeout(60):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1000)
        writer.write(request("/list", "ada"))
        await reader.readuntil(b"\r\n\r\n")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
            assert len((await http.get("/list", headers=by("eve"))).content) == len(body)
        assert await reader.readexactly(len(body)) == body
        writer.close()


async def test_a_refusal_is_a_problem_with_the_time_after_which_to_try_again() -> None:
    app = App()
    outer, limits = limited(app, Bounds(at_work=1, in_line=0))
    await limits.gate.caller("token ada", "")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(outer), base_url="http://broker") as http:
        first = asyncio.create_task(http.get("/list", headers=by("ada")))
        await app.until(at_work=1)
        answer = await http.get("/list", headers=by("ada"))
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "2")
        assert json.loads(answer.content)["code"] == "too-many-requests"
        assert (await http.get("/health")).text == "free", "a monitor is answered"
        app.open.set()
        assert (await first).status_code == 200


# ---- bodies, and what has a lane of its own


class Reader:
    """Answers how many bytes it was sent, once all are there."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        size, more = 0, True
        while more:
            message = await receive()
            size, more = size + len(message.get("body", b"")), message.get("more_body", False)
        await Response(f"{size}")(scope, receive, send)


def begun(path: str, person: str = "") -> bytes:
    """A request of 1,000 bytes of which the first comes at once."""
    token = f"Authorization: token {person}\r\n" if person else ""
    return f"POST {path} HTTP/1.1\r\nHost: x\r\n{token}Content-Length: 1000\r\n\r\nx".encode()


async def test_slow_bodies_take_no_place_at_work_from_others_and_end_in_time() -> None:
    outer, limits = limited(Reader(), Bounds(at_work=2, all_at_work=2), sent_within=0.4)
    for person in ("ada", "eve"):
        await limits.gate.caller(f"token {person}", "")
    async with serving(outer) as port, asyncio.timeout(60):
        crowd = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        for _, writer in crowd:
            writer.write(begun("/list", "ada"))
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
            assert (await http.post("/list", content=b"y" * 300_000, headers=by("eve"))).text == "300000"
        for reader, writer in crowd:
            head, body = (await reader.read()).split(b"\r\n\r\n")  # to its end: the connection is closed
            assert head.startswith(b"HTTP/1.1 408") and json.loads(body)["code"] == "too-slow"
            writer.close()
    assert limits.lanes.counts.at_work == limits.lanes.counts.in_line == 0


async def test_who_sends_slowly_without_a_token_keeps_no_session_from_calling_home() -> None:
    outer, limits = limited(Reader(), Bounds(homes=1, at_work=1, shared=1, in_line=0), sent_within=0.4)
    path = "/sessions/abc/call-home"
    async with serving(outer) as port, asyncio.timeout(60):
        crowd = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
        for _, writer in crowd:
            writer.write(begun(path))
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
            assert (await http.post(path, content=b"home")).text == "4"
            assert (await http.post(path, content=b"y" * 9000)).json()["code"] == "too-large"
        for reader, writer in crowd:
            assert (await reader.readline()).startswith(b"HTTP/1.1 408")
            writer.close()
    assert not limits.lanes.counts.most > 1


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/projects/health"), ("POST", "/account-links/health"), ("GET", "/statements/2026-10/GRANT/call-home"),
        ("DELETE", "/account-links/call-home"), ("GET", "/sessions/abc/call-home"),
    ],
)  # fmt: skip
async def test_only_the_calls_themselves_have_places_of_their_own(method: str, path: str) -> None:
    app = App()
    outer, limits = limited(app, Bounds(at_work=1, in_line=0))
    await limits.gate.caller("token ada", "")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(outer), base_url="http://broker") as http:
        first = asyncio.create_task(http.request(method, path, headers=by("ada")))
        await app.until(at_work=1)
        assert (await http.request(method, path, headers=by("ada"))).status_code == 429
        app.open.set()
        assert (await first).status_code == 200
