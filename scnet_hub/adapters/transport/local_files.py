"""Files at a centre that shares this machine's file system: written in one step, read from the end.

Knows nothing of centres. There is one account, this process's own: `account` makes no difference. A file that can't be
written is `Rejected` in the system's words (disk full, no permission): this centre can't take the session now. Jobs own
these files: `owned_files` opens them, on threads of this transport's own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from ...errors import Rejected, Unreachable, WrongFile
from .. import owned_files
from .thread_pool import Pool, Starved

T = TypeVar("T")


class LocalFiles:
    """The files and ports of a transport to a centre on this machine. `hub` is where the proxy listens on this machine
    ("": at its public address)."""

    def __init__(self, hub: str = "") -> None:
        self.hub = hub

    @cached_property
    def pool(self) -> Pool:
        return Pool("files")

    async def put(self, path: str, data: bytes, *, account: str = "", mode: int = 0o600) -> None:
        try:
            await self._work(path, owned_files.write, Path(path), data, mode)
        except OSError as error:
            raise Rejected(f"{path} could not be written: {error.strerror or error}.") from error

    async def tail(self, path: str, *, account: str = "", size: int = 4000) -> str:
        try:
            return (await self._work(path, owned_files.read_end, Path(path), size)).decode(errors="replace")
        except OSError as error:
            raise Unreachable(f"{path} could not be read: {error.strerror or error}.") from error

    async def _work(self, path: str, work: Callable[..., T], *args: object) -> T:
        """Runs `work` on a thread. Raises WrongFile, Unreachable if the file system does not answer, else what `work`
        raises."""
        try:
            return await self.pool.run(work, *args)
        except owned_files.WrongKind as error:
            raise WrongFile(f"{error.filename}: {error.strerror}.", hint=WrongFile.REMEDY) from error
        except Starved as error:
            raise Unreachable(f"{path}: the file system does not answer: {error}.") from error

    def stuck(self) -> float:
        return self.pool.oldest()

    async def forward(self, host: str, port: int) -> tuple[str, int]:
        return host, port

    async def unforward(self, host: str, port: int) -> None:
        """Does nothing: no forward was opened."""

    async def keep(self, wanted: Collection[tuple[str, int]]) -> None:
        """Does nothing: all addresses are direct."""

    async def hub_url(self) -> str:
        return self.hub

    async def close(self) -> None:
        """Does nothing: no connection stays open between questions."""

    async def end(self) -> None:
        """Does nothing: nothing outlives this process."""
