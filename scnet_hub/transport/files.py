"""Files at a centre whose file system is this machine's: written in one step, read from the end.

Knows nothing of centres. There is one account, this process's own: `account` makes no difference. A file that can't be
written is `Rejected` in the system's words (disk full, no permission): this centre can't take the session now.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Collection
from pathlib import Path

from ..errors import Rejected, Unreachable


class LocalFiles:
    """What a transport to a centre on this machine does with files and ports. `hub` is where the proxy listens on this machine
    ("": at its public address)."""

    def __init__(self, hub: str = "") -> None:
        self.hub = hub

    async def put(self, path: str, data: bytes, *, account: str = "", mode: int = 0o600) -> None:
        try:
            await asyncio.to_thread(write, Path(path), data, mode)
        except OSError as error:
            raise Rejected(f"{path} could not be written: {error.strerror or error}.") from error

    async def tail(self, path: str, *, account: str = "", size: int = 4000) -> str:
        try:
            return await asyncio.to_thread(last, Path(path), size)
        except OSError as error:
            raise Unreachable(f"{path} could not be read: {error.strerror or error}.") from error

    async def forward(self, host: str, port: int) -> tuple[str, int]:
        return host, port

    async def unforward(self, host: str, port: int) -> None:
        """Nothing was opened."""

    async def keep(self, wanted: Collection[tuple[str, int]]) -> None:
        """All addresses are direct."""

    async def hub_url(self) -> str:
        return self.hub

    async def close(self) -> None:
        """Nothing is kept open between questions."""

    async def end(self) -> None:
        """Nothing outlives this process."""


def write(path: Path, data: bytes, mode: int) -> None:
    """Writes beside the file and renames, so that nobody ever reads half of it, nor with a wider mode than `mode`."""
    make_folder(path.parent)
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.")  # mkstemp makes it 0600
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, mode)
            file.write(data)
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(part)
        raise


def make_folder(folder: Path) -> None:
    """Like mkdir -p, but parents get 0700 too (Path.mkdir gives them the umask's)."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def last(path: Path, size: int) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - size))
            return file.read(size).decode(errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return ""
