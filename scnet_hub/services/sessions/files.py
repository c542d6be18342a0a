"""Reads and empties a copy's files at its centre: the end of its log, and its start file once it is no longer
needed."""

from __future__ import annotations

import contextlib

from ...adapters.db.queries import sessions as session_rows
from ...display import endings as words
from ...domain.sessions import start_file
from ...domain.sessions.records import Copy
from ...errors import CentreError, WrongFile, plain
from ..runtime import Runtime

HUNG = 5.0  # seconds that a file operation may take


class Files:
    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    async def scrub(self, copy: Copy) -> None:
        """Empties the copy's start file, which holds its token, at the centre, and closes the forward to its port.
        Errors are ignored: the hub revokes the token as well."""
        centre = self.runtime.centres[copy.centre]
        fresh = await self.runtime.db.run(session_rows.get, copy.session, copy.number)
        copy = fresh.copy if fresh else copy  # it may have called home after `copy` was read
        live = await self.runtime.db.run(session_rows.live_copies, centre=copy.centre)
        others = {one.address for _, one in live if (one.session, one.number) != (copy.session, copy.number)}
        with contextlib.suppress(CentreError):
            if copy.address and copy.address not in others:  # a session may have named another session's address
                await centre.transport.unforward(*address(copy))
        with contextlib.suppress(CentreError):
            await centre.put(start_file.path(centre.spec, copy, "start.json"), b"{}", account=copy.account)

    async def last_lines(self, copy: Copy, lines: int = 8) -> str:
        """Returns the end of a job's output, to be added to a sentence; "" if the output cannot be read."""
        try:
            text = await self.tail(copy)
        except WrongFile as error:
            text = f"(not read: {error})"
        kept = [line for line in text.splitlines() if line.strip()][-lines:]
        return plain(words.TAIL + "\n".join(kept), 5000) if kept else ""

    async def tail(self, copy: Copy, size: int = 4000) -> str:
        """Returns the last `size` bytes of a job's output; "" if there is none or it cannot be read. Raises WrongFile
        if the job replaced its output by something other than a regular file."""
        try:
            centre = self.runtime.centres[copy.centre]
            return await centre.tail(start_file.path(centre.spec, copy, "log"), account=copy.account, size=size)
        except WrongFile:
            raise
        except CentreError:
            return ""

    def hung(self) -> list[str]:
        """Returns a sentence for each centre whose file system on this machine does not answer."""
        stuck = {name: centre.transport.stuck() for name, centre in self.runtime.centres.items()}
        return [
            f"{name}: its file system has not answered for {seconds:.0f} s."
            for name, seconds in stuck.items()
            if seconds >= HUNG
        ]


def address(copy: Copy) -> tuple[str, int]:
    """Returns the host and port at which a copy said that it listens."""
    host, _, port = copy.address.rpartition(":")
    return host, int(port)
