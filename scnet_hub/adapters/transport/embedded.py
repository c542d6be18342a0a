"""`EmbeddedTransport`: asks an embedded centre over its Unix socket, without a process for each question.

The centre reads the same argv as Slurm's commands do (see `demo/embedded/slurm_commands.py`): this file only carries
the argv. One connection for each question: the request is JSON up to the end of writing, the answer is JSON up to the
end of the stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import json

from ...domain.commands import Command, Completed
from ...errors import Garbled, Silent, Unreachable
from .local_files import LocalFiles


class EmbeddedTransport(LocalFiles):
    """Talks to the socket at the path `socket`; `hub` as for `LocalFiles`."""

    def __init__(self, socket: str, *, hub: str = "") -> None:
        super().__init__(hub)
        self.socket = socket

    async def run(self, command: Command, *, account: str = "", timeout: float = 30) -> Completed:
        request = {"argv": list(command.argv), "stdin": command.stdin.decode(errors="surrogateescape")}
        try:
            text = await asyncio.wait_for(self._ask(json.dumps(request).encode()), timeout)
        except TimeoutError:
            raise Silent(f"the embedded centre at {self.socket} did not answer within {timeout:g} s.") from None
        except OSError as error:
            raise Unreachable(
                f"the embedded centre at {self.socket} can't be reached: {error.strerror or error}."
            ) from error
        if not text:
            raise Unreachable(f"the embedded centre at {self.socket} closed the connection without an answer.")
        try:
            answer = json.loads(text)
            return Completed(command, int(answer["code"]), str(answer["stdout"]), str(answer["stderr"]))
        except (ValueError, KeyError, TypeError) as error:
            raise Garbled(f"the embedded centre at {self.socket} answered {text[:80]!r}.") from error

    async def _ask(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_unix_connection(self.socket)
        try:
            writer.write(request)
            writer.write_eof()
            return await reader.read()
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
