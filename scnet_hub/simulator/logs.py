"""Log files: where they lie, plain or gzipped. The only file of the simulator that opens one; what lines mean is in
`swf.py`."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from random import Random

from ..errors import BadOption
from .swf import Site, sites_of

GZIP = b"\x1f\x8b"


def read(path: Path, rng: Random, *, by_partition: bool = False) -> list[Site]:
    """The sites of a log. Raises BadOption with a sentence for whatever is wrong with the file."""
    name = path.name.removesuffix(".gz").removesuffix(".swf")
    try:
        return sites_of(_lines(path), name, rng, by_partition=by_partition)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise BadOption(
            f"{path} can't be unpacked: it is cut off or damaged.", hint="Fetch it again, or unpack it by hand."
        ) from None
    except OSError as error:
        raise BadOption(
            f"{path} can't be read: {error.strerror or error}.", hint="--trace takes a file in SWF, plain or .gz."
        ) from None


def _lines(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        packed = file.read(2) == GZIP
    with gzip.open(path) if packed else path.open("rb") as lines:
        for line in lines:
            yield line.decode("utf-8", "replace")
