"""The middleware that bounds the broker's work at one time: gives each request a turn, stops reads whose client is
gone, requires bodies within a time, and sends answers only as fast as they are read.

Requests that only read are stopped when their client has gone. Requests that write are completed, because half of a
change would be worse.
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

PIECE = 64 * 1024  # bytes of an answer that are sent at once; the next piece follows when these were taken
TAKEN_WITHIN = 60.0  # seconds for one piece
SENT_WITHIN = 20.0  # seconds for the body of a request
HOME_BODY = 8 * 1024  # bytes that a session may send when it calls home: it has no token
READING = ("GET", "HEAD")
TURN = "scnet.turn"
Refuse = Callable[[ScnetError], Response]


class Limits:
    """Wraps the whole app, whose calls begin with the path `prefix`. `refused` makes the answer of a refusal;
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
        self._free = f"{prefix}/health"  # an answer without cost, which a monitor needs most when the broker is busy
        self._home = re.compile(rf"{re.escape(prefix)}/sessions/[^/]+/call-home")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or (scope["method"] in READING and scope["path"] == self._free):
            return await self.app(scope, receive, send)
        key = self._key(scope)
        try:
            self.lanes.check(key)
        except ScnetError as error:  # before any work for the request: a refusal must cost little
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
            if key[0] == HOME:  # open to any caller: takes no place until the whole body is there
                await body.arrive(HOME_BODY)
            async with self.lanes.turn(key) as turn:
                scope[TURN] = turn
                await self.app(scope, partial(body.receive, turn), _Answer(turn, send).send)
        except ScnetError as error:  # before the app was reached: it answers its own errors
            await self.refused(error)(scope, receive, send)

    def _key(self, scope: Scope) -> Key:
        """Returns whose request this is, as far as known without asking the hub."""
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
    """The other end of a request that only reads: drops what the client sends, and notices when the client goes
    away."""

    def __init__(self, receive: Receive) -> None:
        self._receive, self._gone, self._told = receive, asyncio.Event(), False

    async def left(self) -> None:
        """Returns when the client has gone."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone.set()

    async def receive(self) -> Message:
        """Returns what the app receives: an empty request, then its end."""
        if not self._told:
            self._told = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}


class _Body:
    """Reads a request's body as a whole before the app receives it. Others use the place at work while the body
    arrives."""

    def __init__(self, receive: Receive, within: float) -> None:
        self._receive, self._within = receive, within
        self._read: list[Message] = []
        self._arrived = False

    async def receive(self, turn: Turn) -> Message:
        """Returns what the app receives. Raises TooSlow, Overloaded."""
        if not self._arrived:
            async with turn.apart():
                await self.arrive()
        return self._read.pop(0) if self._read else await self._receive()

    async def arrive(self, most: int = 0) -> None:
        """Returns when the whole body is there, when the client has gone, or when the body is longer than allowed.
        Raises TooSlow; BadOption for a body of over `most` bytes."""
        self._arrived, data = True, bytearray()
        try:
            async with asyncio.timeout(self._within):
                while (message := await self._receive())["type"] == "http.request":
                    data += message.get("body", b"")
                    if most and len(data) > most:
                        raise BadOption(f"The body is larger than {most // 1024} KiB.", code="too-large")
                    if not message.get("more_body") or len(data) > MAX_BODY:
                        break
        except TimeoutError:
            hint = "Nothing was done. Send the whole body at once, and try again."
            raise TooSlow(f"The body of this request did not arrive within {self._within:g} s.", hint=hint) from None
        gone = message["type"] != "http.request"
        self._read = [
            {"type": "http.request", "body": bytes(data), "more_body": gone or message.get("more_body", False)}
        ]
        self._read += [message] if gone else []


class _Answer:
    """Sends an answer piece by piece, so that no more of it is kept than its client takes; others use the place at work
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
    """The client reads nothing, so the connection is closed."""
