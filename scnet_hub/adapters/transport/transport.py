"""The one way to a centre: run a command, put a file, read the end of a file, reach a port on a node.

Exit codes are data; `Unreachable` is raised when the question could not be asked. Kinds: `ssh` (a member centre's login
node), `local` (subprocesses on this machine), `embedded` (the embedded centre's socket). No kind knows schedulers.
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
    """What a transport needs from this side: the broker's state folder (secrets, forwards), this installation's
    address, and where the hub's proxy listens as seen from this machine ("": at that address)."""

    folder: Path
    public_url: str = ""
    proxy_url: str = ""

    @property
    def near(self) -> str:
        """Returns the address at which this machine reaches the proxy."""
        return self.proxy_url or self.public_url


class Transport(Protocol):
    """A way to one centre. `account` is the account that acts at the centre; "" is the federation's own account. At a
    centre with a single account (embedded, local), `account` makes no difference."""

    async def run(self, command: Command, *, account: str = "", timeout: float = 30) -> Completed:
        """Runs a command. Raises Unreachable if the command did not end within `timeout` seconds or could not be run
        (the command may have run), Denied if the centre does not let that account in."""

    async def put(self, path: str, data: bytes, *, account: str = "", mode: int = 0o600) -> None:
        """Writes a file at the centre in one step (never half a file), making parents with 0700. Raises Rejected with
        the centre's words if the file can't be stored: over quota, disk full, no permission."""

    async def tail(self, path: str, *, account: str = "", size: int = 4000) -> str:
        """Returns the last `size` bytes of a regular text file at the centre; "" if there is no file. Raises WrongFile
        for anything else: a job may have put a FIFO or a symbolic link there."""

    def stuck(self) -> float:
        """Returns the seconds that this process's oldest call for a file has waited; 0 if no call is under way."""

    async def forward(self, host: str, port: int) -> tuple[str, int]:
        """Returns an address that this machine can open to reach `host:port` at the centre (the same address if
        direct)."""

    async def unforward(self, host: str, port: int) -> None:
        """Closes the way to that address at the centre; harmless to repeat."""

    async def keep(self, wanted: Collection[tuple[str, int]]) -> None:
        """Opens the ways to these addresses and closes all others: called once after a restart."""

    async def hub_url(self) -> str:
        """Returns the address at which sessions at the centre reach hub and broker: "http://host:port" without a path,
        or "" for the public address."""

    async def close(self) -> None:
        """Closes connections; forwards stay, so that a restart interrupts no session."""

    async def end(self) -> None:
        """Closes, and ends everything that would outlive this process. For a demo that stops; never for a broker that
        restarts."""
