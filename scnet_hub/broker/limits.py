"""The middleware that bounds what the door does at once: a turn for each request, an end to reading for clients that are gone, answers sent
only as fast as they are read.

What only reads is stopped when its client has gone. What writes is carried out: half of it would be worse.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from urllib.parse import unquote

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import Overloaded, TooMany
from .auth import Gate
from .lanes import HOME, SHARED, Key, Lanes, Turn

PIECE = 64 * 1024  # bytes of an answer that are handed over at once: the next ones when these were taken
TAKEN_WITHIN = 60.0  # seconds for one piece
READING = ("GET", "HEAD")
FREE = ("/health",)  # answers of no cost, which a monitor needs most when the broker is busy
TURN = "scnet.turn"
Refuse = Callable[[TooMany | Overloaded], Response]


class Limits:
    """Around the whole app. `refused` makes the answer of a refusal."""

    def __init__(self, app: ASGIApp, gate: Gate, lanes: Lanes, refused: Refuse) -> None:
        self.app, self.gate, self.lanes, self.refused = app, gate, lanes, refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].endswith(FREE):
            return await self.app(scope, receive, send)
        if scope["method"] not in READING:
            return await self._serve(scope, receive, send)
        client = _Client(receive)
        serving = asyncio.create_task(self._serve(scope, client.receive, send))
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

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with self.lanes.turn(self._key(scope)) as turn:
                scope[TURN] = turn
                await self.app(scope, receive, _Answer(turn, send).send)
        except (TooMany, Overloaded) as error:
            await self.refused(error)(scope, receive, send)

    def _key(self, scope: Scope) -> Key:
        """Whose request it is, as far as is known without asking the hub."""
        if scope["path"].endswith("/call-home"):
            return HOME, ""
        headers = {name: value.decode("latin-1") for name, value in scope["headers"] if name in (b"authorization", b"x-scnet-person")}
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


class _Answer:
    """Sends an answer piece by piece, so that no more of it waits than its client takes; the place at work is others' meanwhile."""

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
