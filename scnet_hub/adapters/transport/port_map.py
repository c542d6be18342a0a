"""Which addresses at a centre this machine must reach, and by which port of its own each: kept in a file.

A port stays an address's own as long as it is wanted: JupyterHub stores a session's port, and a restart must not change it.
"""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Collection
from pathlib import Path

from ...errors import SpecError
from ..secret_files import write_secret
from .ssh_mux import Forward

HERE = "127.0.0.1"
PORTS = range(20000, 32768)  # below the system's own range, so that no outgoing connection takes a port while the master is away
Address = tuple[str, int]


class Wanted:
    """`ports`: address at the centre → port here."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.ports: dict[Address, int] = {}
        self._saved: dict[Address, int] = {}

    def load(self) -> None:
        """Raises SpecError if the file can't be read."""
        try:
            rows = json.loads(self.file.read_text())
            self.ports = {(str(host), int(port)): int(here) for host, port, here in rows}
        except FileNotFoundError:
            return
        except (ValueError, TypeError) as error:
            raise SpecError(
                f"{self.file} is not a list of forwards: {error}.", hint="Remove it; running sessions there need a restart."
            ) from error
        self._saved = dict(self.ports)

    def save(self) -> None:
        if self.ports != self._saved:
            write_secret(self.file, json.dumps([[*address, here] for address, here in sorted(self.ports.items())]))
            self._saved = dict(self.ports)

    def add(self, address: Address) -> None:
        if address not in self.ports:
            self.ports[address] = free_port(self.ports.values())

    def move(self, address: Address) -> None:
        """Another port for it: somebody else has taken its own."""
        self.ports[address] = free_port(self.ports.values())

    def forward(self, address: Address) -> Forward:
        return Forward("local", HERE, self.ports[address], *address)

    def forwards(self) -> set[Forward]:
        return {self.forward(address) for address in self.ports}


def free_port(taken: Collection[int]) -> int:
    for port in random.sample(PORTS, 200):
        if port not in taken and _is_free(port):
            return port
    raise OSError(f"no port of {HERE} is free between {PORTS.start} and {PORTS.stop - 1}")


def _is_free(port: int) -> bool:
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as ssh does: what lingers of an old connection is no obstacle
        try:
            one.bind((HERE, port))
        except OSError:
            return False
        return True
