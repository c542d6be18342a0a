"""Speaks to the control socket of an OpenSSH master directly: OpenSSH's PROTOCOL.mux, version 4 (unchanged since 2010).

One connection is held open. The connection ends with the master, so there is no need to ask whether the master lives,
and many forwards cost no process each. Knows neither centres nor the purpose of a forward.
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
LONGEST_NAME = 100  # longest path of a Unix socket, in bytes, that works on every system


class MuxError(Exception):
    """Raised when the master refuses, with the master's words."""


@dataclass(frozen=True, slots=True, order=True)
class Forward:
    """A port forward. `local` is ssh's -L, `remote` its -R: a connection to listen_host:listen_port (here or there)
    reaches host:port."""

    kind: Literal["local", "remote"]
    listen_host: str
    listen_port: int
    host: str
    port: int

    def packed(self) -> bytes:
        kind = {"local": 1, "remote": 2}[self.kind]
        return (
            _number(kind)
            + _string(self.listen_host)
            + _number(self.listen_port)
            + _string(self.host)
            + _number(self.port)
        )


class Control(asyncio.Protocol):
    """A connection to the master. `gone` is called once when the connection ends. Methods raise MuxError, or OSError if
    the master is gone or does not answer within `patience` seconds."""

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
        """Returns the master's process id."""
        kind, rest = await self._ask(ALIVE_CHECK)
        if kind != ALIVE:
            raise MuxError(f"answered {kind:#x} to an alive check")
        return _unpack(rest, 0)

    async def forward(self, forward: Forward) -> None:
        """Opens a forward; harmless to repeat. The other end's sshd answers for a remote forward."""
        await self._do(OPEN_FWD, forward.packed())

    async def cancel(self, forward: Forward) -> None:
        """Closes a forward. Raises MuxError if there was no such forward."""
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
        """Passes an answer on. A hello has a version in place of the question's number, and no caller waits for it."""
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
    """Yields a path of the socket that fits into an address: through /proc and the open folder, if the path itself is
    too long."""
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
