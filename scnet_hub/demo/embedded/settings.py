"""Settings of an embedded centre: its nodes, its limits and its background load, kept in `centre.json` of its home.

Knows numbers and the paths of its files. Resources are counts that get booked; nothing here measures the machine.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from ...errors import SpecError

OWN_ADDRESSES = sys.platform == "linux"  # only Linux lets every 127.x.y.z be used without setting it up
LONGEST_SOCKET = 100  # sun_path holds 108 bytes on Linux, 104 on macOS, with a closing zero


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`memory` is bytes of one node, `gpus` of one node, times are seconds. `index` is the centre's number in its
    federation: node n has the address 127.1.<index>.<n>. `background` is the maximum share of cores for other people's
    pretended jobs (0: none); `min_job_age` is how long squeue lists an ended job."""

    name: str = "embedded"
    index: int = 1
    nodes: int = 2
    cores: int = 8
    memory: int = 16 * 2**30
    gpus: int = 0
    gpu_model: str = ""
    partition: str = "main"
    max_walltime: int = 86400
    kill_wait: float = 3.0
    min_job_age: float = 300.0
    background: float = 0.0
    seed: int = 0
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ranges = {"index": (0, 255), "nodes": (1, 254), "cores": (1, 4096), "gpus": (0, 64), "background": (0, 1)}
        for key, (least, most) in ranges.items():
            if not least <= getattr(self, key) <= most:
                raise SpecError(f"embedded centre: {key} is {getattr(self, key)!r}; it must be from {least} to {most}.")
        for key in ("name", "partition"):
            if not re.fullmatch(r"[a-z][a-z0-9-]{0,30}", getattr(self, key)):
                raise SpecError(f"embedded centre: {key} {getattr(self, key)!r} may hold only a-z, 0-9 and '-'.")

    def node_names(self) -> list[str]:
        """Returns the nodes' names: a node's address if it has its own, because that is the only name that resolves on
        this machine, for the hub of a stock batchspawner as for a program that reads SLURM_JOB_NODELIST."""
        numbers = range(1, self.nodes + 1)
        return [self.address(number) if OWN_ADDRESSES else f"{self.name}{number}" for number in numbers]

    def address(self, number: int) -> str:
        """Returns the address on which node `number` (from 1) listens."""
        return f"127.1.{self.index}.{number}" if OWN_ADDRESSES else "127.0.0.1"


def write_settings(home: Path, settings: Settings) -> None:
    (home / "centre.json").write_text(json.dumps(asdict(settings), indent=2) + "\n")


def read_settings(home: Path) -> Settings:
    """Reads the settings. Raises SpecError, which names the file and the error in it."""
    path = home / "centre.json"
    try:
        document = json.loads(path.read_text())
        unknown = sorted(set(document) - {one.name for one in fields(Settings)})
        if unknown:
            raise SpecError(f"{path}: unknown setting {unknown[0]!r}.")
        return Settings(**document)
    except (OSError, ValueError, TypeError) as error:
        raise SpecError(f"{path}: {error}.", hint="The file is made when the centre is first started.") from error


def socket_path(home: Path) -> Path:
    """Returns the centre's socket: in its home, or, if that path is too long for a socket, in a private folder under
    /tmp."""
    path = home.resolve() / "socket"
    if len(os.fsencode(path)) <= LONGEST_SOCKET:
        return path
    return Path("/tmp") / f"scnet-{os.getuid()}" / f"{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}.socket"
