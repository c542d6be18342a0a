"""The one way out to a centre: run a command, put a file, read the end of a file, reach a port on a node.

Exit codes are data; `Unreachable` is raised when the question could not be put. Kinds: `ssh` (a member centre's login
node), `local` (subprocesses on this machine), `embedded` (the embedded centre's socket). None knows schedulers.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ...domain.commands import Command, Completed

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a way out needs of this side: the broker's state folder (secrets, forwards), this installation's address, and
    where the hub's proxy listens as seen from this machine ("": at that address)."""

    folder: Path
    public_url: str = ""
    proxy_url: str = ""

    @property
    def near(self) -> str:
        """Where this machine reaches the proxy."""
        return self.proxy_url or self.public_url


class Transport(Protocol):
    """`account` is who does it at the centre; "" is the federation's own account there. Where a centre has but one
    account (embedded, local), it makes no difference."""

    async def run(self, command: Command, *, account: str = "", timeout: float = 30) -> Completed:
        """Raises Unreachable if the command could not be run to its end within `timeout` seconds (it may have run),
        Denied if the centre does not let that account in."""

    async def put(self, path: str, data: bytes, *, account: str = "", mode: int = 0o600) -> None:
        """Writes a file at the centre in one step (never half), making parents with 0700. Raises Rejected with the
        centre's words if it can't be stored there: over quota, disk full, no permission."""

    async def tail(self, path: str, *, account: str = "", size: int = 4000) -> str:
        """The last `size` bytes of a regular text file at the centre; "" if there is none. Raises WrongFile for anything else: a job may
        have put a FIFO or a symbolic link there."""

    def stuck(self) -> float:
        """Seconds that the oldest call of this process's own for a file has waited; 0 where none is under way."""

    async def forward(self, host: str, port: int) -> tuple[str, int]:
        """An address that this machine can open to reach `host:port` at the centre (the same one where direct)."""

    async def unforward(self, host: str, port: int) -> None:
        """That address at the centre is needed no more; harmless to repeat."""

    async def keep(self, wanted: Collection[tuple[str, int]]) -> None:
        """The ways to these addresses stand, all others go: said once after a restart."""

    async def hub_url(self) -> str:
        """Where sessions at the centre reach hub and broker: "http://host:port" without a path, or "" for the public address."""

    async def close(self) -> None:
        """Lets go of connections; forwards stand on, so that a restart cuts nobody."""

    async def end(self) -> None:
        """Closes, and ends what would outlive this process. For a demo that stops; never for a broker that restarts."""
