"""The one way out to a centre: run a command, put a file, read the end of a file, reach a port on a node.

Exit codes are data; `Unreachable` is raised when the question could not be put. Kinds: `local` (subprocesses on this
machine), `embedded` (the embedded centre's socket: no process per question). Implementations know nothing of schedulers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ..commands import Command, Completed

if TYPE_CHECKING:
    from ..standard.centre import CentreSpec


class Transport(Protocol):
    async def run(self, command: Command, *, timeout: float = 30) -> Completed:
        """Raises Unreachable if the command could not be run to its end within `timeout` seconds."""

    async def put(self, path: str, data: bytes, *, mode: int = 0o600) -> None:
        """Writes a file at the centre in one step (never half), making parents with 0700."""

    async def tail(self, path: str, *, size: int = 4000) -> str:
        """The last `size` bytes of a text file at the centre; "" if there is none."""

    async def forward(self, host: str, port: int) -> tuple[str, int]:
        """An address that this machine can open to reach `host:port` at the centre (the same one where direct)."""

    async def close(self) -> None: ...


def transport(spec: CentreSpec) -> Transport:
    """The way out that a centre's spec names; opens nothing yet."""
    from .embedded import EmbeddedTransport
    from .local import LocalTransport

    way = spec.transport
    if way.kind == "embedded":
        return EmbeddedTransport(way.socket)
    return LocalTransport(way.environment, way.path)
