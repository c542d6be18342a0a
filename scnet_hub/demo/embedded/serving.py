"""The socket of an embedded centre's daemon: one question for each connection, and one daemon for each home.

A request is JSON up to the end of writing: `argv`, and optionally `stdin`, `env`, `cwd`; the answer is JSON up to the
end of the stream. Knows nothing of jobs.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .request import Answer, Question
from .settings import socket_path

log = logging.getLogger(__name__)
PATIENCE = 30.0  # seconds for a question to arrive, and for its answer to be sent
LARGEST = 2**24


class Door:
    """Passes each question to `answer`. `bare` is the environment of a caller that sends none."""

    def __init__(
        self, home: Path, answer: Callable[[Question], Awaitable[Answer]], bare: Callable[[], Mapping[str, str]]
    ) -> None:
        self.home, self.answer, self.bare = home, answer, bare
        self._server: asyncio.Server

    async def open(self) -> None:
        self._server = await asyncio.start_unix_server(self._connected, path=_free_socket(self.home), limit=LARGEST)
        os.chmod(socket_path(self.home), 0o600)

    def close(self) -> None:
        self._server.close()
        socket_path(self.home).unlink(missing_ok=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = json.loads(await asyncio.wait_for(_whole(reader), PATIENCE))
            said = await self.answer(_question(request, self.bare()))
            writer.write(json.dumps(asdict(said)).encode())
            await asyncio.wait_for(writer.drain(), PATIENCE)
        except (OSError, TimeoutError, ValueError, KeyError, TypeError) as error:
            log.warning("a connection was dropped: %r", error)
        except Exception:
            log.exception("a question failed")
        finally:
            writer.close()


async def _whole(reader: asyncio.StreamReader) -> bytes:
    """Returns everything that is sent. Raises ValueError for more than `LARGEST` bytes: an endless sender must not fill
    the memory."""
    data = bytearray()
    while part := await reader.read(2**16):
        data += part
        if len(data) > LARGEST:
            raise ValueError(f"a question of over {LARGEST} bytes")
    return bytes(data)


def _question(request: Mapping[str, Any], bare: Mapping[str, str]) -> Question:
    """Returns the question in a request; a leading `env NAME=value...` is added to its environment."""
    argv, environment = [str(word) for word in request["argv"]], dict(request.get("env", bare))
    while argv and (argv[0] == "env" or "=" in argv[0]):
        name, equals, value = argv.pop(0).partition("=")
        if equals:
            environment[name] = value
    return Question(tuple(argv), request.get("stdin"), str(request.get("cwd") or "/tmp"), environment)


def _free_socket(home: Path) -> str:
    """Returns the socket's path, after making its folder private and removing a killed daemon's socket. The caller
    holds the lock."""
    path = socket_path(home)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    if path.parent != home.resolve():
        state = path.parent.stat()
        if state.st_uid != os.getuid() or state.st_mode & 0o077:
            raise SystemExit(f"{path.parent} is not private to this user; not used.")
    path.unlink(missing_ok=True)
    return str(path)


def locked(home: Path) -> bool:
    """Makes this process the only daemon of that home until it ends; returns False if there is another daemon."""
    lock = os.open(home / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        print(f"another daemon serves {home}", file=sys.stderr)
        return False
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())
    return True
