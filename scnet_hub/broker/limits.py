"""The middleware that bounds what the door does at once: a turn for each request, an end to reading for clients that
are gone, bodies that are there in time, answers sent only as fast as they are read.

What only reads is stopped when its client has gone. What writes is carried out: half of it would be worse.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from functools import partial
from urllib.parse import unquote

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import BadOption, ScnetError, TooSlow
from .auth import Gate
from .bodies import MAX_BODY
from .concurrency import HOME, SHARED, Key, Lanes, Turn

PIECE = 64 * 1024  # bytes of an answer that are handed over at once: the next ones when these were taken
TAKEN_WITHIN = 60.0  # seconds for one piece
SENT_WITHIN = 20.0  # seconds for the body of a request
HOME_BODY = 8 * 1024  # bytes that a session which calls home may send: it has no token
READING = ("GET", "HEAD")
TURN = "scnet.turn"
Refuse = Callable[[ScnetError], Response]


class Limits:
    """Around the whole app, whose calls begin with the path `prefix`. `refused` makes the answer of a refusal;
    `sent_within` is in seconds."""

    def __init__(
        self,
        app: ASGIApp,
        gate: Gate,
        lanes: Lanes,
        refused: Refuse,
        prefix: str = "",
        sent_within: float = SENT_WITHIN,
    ) -> None:
        self.app, self.gate, self.lanes, self.refused, self.sent_within = app, gate, lanes, refused, sent_within
        self._free = f"{prefix}/health"  # an answer of no cost, which a monitor needs most when the broker is busy
        self._home = re.compile(rf"{re.escape(prefix)}/sessions/[^/]+/call-home")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or (scope["method"] in READING and scope["path"] == self._free):
            return await self.app(scope, receive, send)
        key = self._key(scope)
        try:
            self.lanes.check(key)
        except ScnetError as error:  # before anything is made for the request: a refusal must cost little
            return await self.refused(error)(scope, receive, send)
        if scope["method"] not in READING:
            return await self._serve(key, scope, receive, send)
        client = _Client(receive)
        serving = asyncio.create_task(self._serve(key, scope, client.receive, send))
        leaving = asyncio.create_task(client.left())
        try:
            await asyncio.wait((serving, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            if not serving.done():
                serving.cancel()
            await asyncio.gather(leaving, serving, return_exceptions=True)
        if not serving.cancelled():
            serving.result()

    async def _serve(self, key: Key, scope: Scope, receive: Receive, send: Send) -> None:
        body = _Body(receive, self.sent_within)
        try:
            if key[0] == HOME:  # anybody may call: without a place, until all is there
                await body.arrive(HOME_BODY)
            async with self.lanes.turn(key) as turn:
                scope[TURN] = turn
                await self.app(scope, partial(body.receive, turn), _Answer(turn, send).send)
        except ScnetError as error:  # before the app was asked: it answers its own
            await self.refused(error)(scope, receive, send)

    def _key(self, scope: Scope) -> Key:
        """Whose request it is, as far as is known without asking the hub."""
        if scope["method"] == "POST" and self._home.fullmatch(scope["path"]):
            return HOME, ""
        headers = {
            name: value.decode("latin-1")
            for name, value in scope["headers"]
            if name in (b"authorization", b"x-scnet-person")
        }
        known = self.gate.known(headers.get(b"authorization", ""))
        if known is None:
            return SHARED, ""
        return ("hub", unquote(headers.get(b"x-scnet-person", ""))) if known.hub else ("person", known.person)


class _Client:
    """The other end of a request that only reads: what it sends with it is dropped, that it goes away is noticed."""

    def __init__(self, receive: Receive) -> None:
        self._receive, self._gone, self._told = receive, asyncio.Event(), False

    async def left(self) -> None:
        """Returns when it has gone."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone.set()

    async def receive(self) -> Message:
        """What the app hears: an empty request, then its end."""
        if not self._told:
            self._told = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}


class _Body:
    """The body of a request, read whole before the app sees any of it. While it is on its way the place at work is
    others'."""

    def __init__(self, receive: Receive, within: float) -> None:
        self._receive, self._within = receive, within
        self._read: list[Message] = []
        self._arrived = False

    async def receive(self, turn: Turn) -> Message:
        """What the app hears. Raises TooSlow, Overloaded."""
        if not self._arrived:
            async with turn.apart():
                await self.arrive()
        return self._read.pop(0) if self._read else await self._receive()

    async def arrive(self, most: int = 0) -> None:
        """Returns when all of it is there, its client has gone, or it is longer than any may be. Raises TooSlow;
        BadOption for one of over `most` bytes."""
        self._arrived, data = True, bytearray()
        try:
            async with asyncio.timeout(self._within):
                while (message := await self._receive())["type"] == "http.request":
                    data += message.get("body", b"")
                    if most and len(data) > most:
                        raise BadOption(f"The body is over {most // 1024} KiB.", code="too-large")
                    if not message.get("more_body") or len(data) > MAX_BODY:
                        break
        except TimeoutError:
            hint = "Nothing was done. Try again."
            raise TooSlow(f"The body of this request was not there within {self._within:g} s.", hint=hint) from None
        gone = message["type"] != "http.request"
        self._read = [
            {"type": "http.request", "body": bytes(data), "more_body": gone or message.get("more_body", False)}
        ]
        self._read += [message] if gone else []


class _Answer:
    """Sends an answer piece by piece, so that no more of it waits than its client takes; the place at work is others'
    meanwhile."""

    def __init__(self, turn: Turn, send: Send) -> None:
        self._turn, self._send = turn, send

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._turn.sending()
        body = message.get("body", b"")
        if len(body) <= PIECE:
            return await self._within(message)
        for first in range(0, len(body), PIECE):
            await self._within({**message, "body": body[first : first + PIECE], "more_body": True})
        await self._within({**message, "body": b"", "more_body": message.get("more_body", False)})

    async def _within(self, message: Message) -> None:
        try:
            async with asyncio.timeout(TAKEN_WITHIN):
                await self._send(message)
        except TimeoutError as error:
            raise ClientStalled(f"a client took no part of an answer within {TAKEN_WITHIN:g} s") from error


class ClientStalled(Exception):
    """The connection is closed: nobody reads from it."""
