"""Keeps in a file which addresses at a centre this machine must reach, and by which local port each.

An address keeps its port as long as the address is wanted: JupyterHub stores a session's port, and a restart must not
change the port.
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
# below the system's ephemeral range, so that no outgoing connection takes a port while the master is away
PORTS = range(20000, 32768)
Address = tuple[str, int]


class PortMap:
    """The wanted forwards. `ports`: address at the centre → local port."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.ports: dict[Address, int] = {}
        self._saved: dict[Address, int] = {}

    def load(self) -> None:
        """Reads the file. Raises SpecError if the file can't be read."""
        try:
            rows = json.loads(self.file.read_text())
            self.ports = {(str(host), int(port)): int(here) for host, port, here in rows}
        except FileNotFoundError:
            return
        except (ValueError, TypeError) as error:
            raise SpecError(
                f"{self.file} is not a list of forwards: {error}.",
                hint="Remove the file; running sessions there need a restart.",
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
        """Gives an address another port, because another program has taken its port."""
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
        # as ssh does: a lingering old connection is no obstacle
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((HERE, port))
        except OSError:
            return False
        return True
