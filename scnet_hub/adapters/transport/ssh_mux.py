"""The control socket of an OpenSSH master, spoken to directly: OpenSSH's PROTOCOL.mux, version 4 (the same since 2010).

One connection is held open: its end is the master's end, so nobody has to ask whether the master lives, and many forwards
cost no process each. Knows no centres, and not what a forward is for.
https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.mux
"""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

HELLO, VERSION = 0x00000001, 4
ALIVE_CHECK, TERMINATE, OPEN_FWD, CLOSE_FWD = 0x10000004, 0x10000005, 0x10000006, 0x10000007
OK, PERMISSION_DENIED, FAILURE, ALIVE = 0x80000001, 0x80000002, 0x80000003, 0x80000005
LONGEST_NAME = 100  # bytes of a unix socket's path that fit everywhere


class MuxError(Exception):
    """The master said no; in its words."""


@dataclass(frozen=True, slots=True, order=True)
class Forward:
    """`local` is ssh's -L, `remote` its -R: who connects to listen_host:listen_port (here or there) reaches host:port."""

    kind: Literal["local", "remote"]
    listen_host: str
    listen_port: int
    host: str
    port: int

    def packed(self) -> bytes:
        kind = {"local": 1, "remote": 2}[self.kind]
        return _number(kind) + _string(self.listen_host) + _number(self.listen_port) + _string(self.host) + _number(self.port)


class Control(asyncio.Protocol):
    """`gone` is called once when the connection to the master ends. Methods raise MuxError, or OSError if it is gone, or if it
    does not answer within `patience` seconds."""

    def __init__(self, gone: Callable[[], None], patience: float) -> None:
        self._gone, self._patience = gone, patience
        self._buffer = bytearray()
        self._answers: dict[int, asyncio.Future[tuple[int, bytes]]] = {}
        self._last = 0
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def open(cls, socket: Path, gone: Callable[[], None], patience: float) -> Control:
        with _short(socket) as path:
            async with asyncio.timeout(patience):
                _, control = await asyncio.get_running_loop().create_unix_connection(lambda: cls(gone, patience), path)
        return control

    async def alive(self) -> int:
        """The master's process id."""
        kind, rest = await self._ask(ALIVE_CHECK)
        if kind != ALIVE:
            raise MuxError(f"answered {kind:#x} to a question whether it lives")
        return _unpack(rest, 0)

    async def forward(self, forward: Forward) -> None:
        """Harmless to repeat. A remote one is answered by the other end's sshd."""
        await self._do(OPEN_FWD, forward.packed())

    async def cancel(self, forward: Forward) -> None:
        """Raises MuxError if there was none."""
        await self._do(CLOSE_FWD, forward.packed())

    async def terminate(self) -> None:
        await self._do(TERMINATE)

    def close(self) -> None:
        self._gone = lambda: None
        if self._transport:
            self._transport.abort()

    async def _do(self, kind: int, rest: bytes = b"") -> None:
        kind, rest = await self._ask(kind, rest)
        if kind != OK:
            length = _unpack(rest, 0) if len(rest) >= 4 else 0
            raise MuxError(rest[4 : 4 + length].decode(errors="replace") or f"answered {kind:#x}")

    async def _ask(self, kind: int, rest: bytes = b"") -> tuple[int, bytes]:
        if self._transport is None:
            raise ConnectionResetError("the master is gone")
        self._last += 1
        number = self._last
        answer: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        try:
            self._send(_number(kind) + _number(number) + rest)
            async with asyncio.timeout(self._patience):
                return await answer
        finally:
            del self._answers[number]

    def _send(self, packet: bytes) -> None:
        assert self._transport
        self._transport.write(_string(packet))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send(_number(HELLO) + _number(VERSION))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= 4 and len(self._buffer) >= 4 + (length := _unpack(self._buffer, 0)):
            packet = bytes(self._buffer[4 : 4 + length])
            del self._buffer[: 4 + length]
            self._received(packet)

    def _received(self, packet: bytes) -> None:
        """A hello has a version where the others have the number of the question; nobody waits for it."""
        if len(packet) < 8 or (kind := _unpack(packet, 0)) == HELLO:
            return
        answer = self._answers.get(_unpack(packet, 4))
        if answer and not answer.done():
            answer.set_result((kind, packet[8:]))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(ConnectionResetError("the master is gone"))
        self._gone()


@contextmanager
def _short(socket: Path) -> Iterator[str]:
    """A path of the socket that fits into an address: through /proc and its open folder, if it is too long itself."""
    if len(os.fsencode(socket)) <= LONGEST_NAME:
        yield str(socket)
        return
    folder = os.open(socket.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{socket.name}"
    finally:
        os.close(folder)


def _number(value: int) -> bytes:
    return struct.pack(">I", value)


def _string(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return _number(len(raw)) + raw


def _unpack(data: bytes | bytearray, offset: int) -> int:
    return int(struct.unpack_from(">I", data, offset)[0])
