"""Runs one command on a connection: builds its line for the login shell, and reads its answer."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

import asyncssh

from ...domain.commands import Command
from .frames import framed

if TYPE_CHECKING:
    pass

MOST = 64 << 20  # bytes of one command's output: a queue of 100,000 jobs takes a quarter of this
SUDO_SAYS = re.compile(
    r"^(sudo: [^\n]*?|Sorry, user [^\n]*? is not allowed to [^\n]*?|\S+ is not (in the sudoers file|allowed "
    r"to)[^\n]*?)\.?$",
    re.MULTILINE,
)


def words(
    argv: Sequence[str],
    seconds: int,
    mark: str,
    account: str = "",
    environment: dict[str, str] | None = None,
    path: str = "",
) -> str:
    """Returns the line for the login shell: `argv` in its frame under `timeout`, as `account` ("": as the login user),
    each word quoted."""
    line = ["timeout", "-k", "5", str(seconds), *framed(argv, mark, path)]
    if account or environment:
        there = ["-C", "/"] if account else []
        line = ["env", *there, *(f"{key}={value}" for key, value in (environment or {}).items()), *line]
    if account:
        line = ["env", "LC_ALL=C", "sudo", "-n", "-H", "-u", account, "--", *line]
    return " ".join(_quoted(word) for word in line)


def _quoted(word: str) -> str:
    """Quotes a word for sh and csh alike: csh interprets a "!" inside quotes too."""
    return shlex.quote(word).replace("!", "'\\!'")


async def converse(connection: asyncssh.SSHClientConnection, text: str, stdin: bytes, answer: Answer) -> None:
    channel, _ = await connection.create_session(lambda: answer, text, encoding=None)
    with contextlib.suppress(BrokenPipeError):  # it ended without reading
        channel.write(stdin)
        channel.write_eof()
    await answer.ended.wait()


class Answer(asyncssh.SSHClientSession[bytes]):
    """Collects one command's output, up to MOST bytes."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.heard = self.too_much = False
        self.code: int | None = None
        self.signal = ""
        self._size = 0
        self._parts: dict[int | None, list[bytes]] = {None: [], asyncssh.EXTENDED_DATA_STDERR: []}
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self._channel, self.heard = chan, True

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self._size += len(data)
        if self._channel and self._size <= MOST:
            self._parts[datatype].append(data)
        elif self._channel:
            self.too_much = True
            self.let_go()
            self.ended.set()

    def exit_status_received(self, status: int) -> None:
        self.code = status

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        self.signal = signal

    def connection_lost(self, exc: Exception | None) -> None:
        self._channel = None
        self.ended.set()

    def let_go(self) -> None:
        """Ends a command whose caller is gone: asks it to end; a command that can't be asked (sudo) is ended by its
        `timeout`.

        The channel stays open until then: sshd uses it to check that we are alive, and treats silence as the
        connection's death.
        """
        if channel := self._channel:
            self._channel = None
            self._parts.clear()
            with contextlib.suppress(OSError, asyncssh.Error):
                channel.terminate()

    def bytes(self, datatype: int | None) -> bytes:
        return b"".join(self._parts[datatype])


def text_of(said: bytes) -> str:
    return said.decode(errors="replace")


def program_of(command: Command) -> str:
    """Returns the program in `env A=b program ...`, for a sentence."""
    return next((word for word in command.argv if word != "env" and "=" not in word), command.argv[0])


def last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else ""
