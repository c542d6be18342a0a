"""The operations log: one JSON line for each request, answer, fault and repair, with its time.

Written while the run goes on, each line at once, so that a run that dies leaves what it saw; read back by the checker.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

Json = dict[str, Any]


class History:
    """`clock` gives seconds since the epoch."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.path, self.clock = path, clock
        self._file: TextIO | None = None

    def tell(self, op: str, **facts: object) -> Json:
        if self._file is None:
            self._file = self.path.open("a", buffering=1)
        line: Json = {"at": round(self.clock(), 3), "op": op, **facts}
        self._file.write(json.dumps(line) + "\n")
        return line

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def lines(self) -> list[Json]:
        return list(read(self.path))


def read(path: Path) -> Iterator[Json]:
    """A last line that was cut off by a death is left out."""
    for line in path.read_text().splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            return
