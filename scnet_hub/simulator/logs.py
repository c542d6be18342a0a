"""Reads log files, plain or gzipped. The only file of the simulator that opens a file; `swf.py` interprets the
lines."""

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
    """Returns the sites of a log. Raises BadOption with a sentence for any fault of the file."""
    name = path.name.removesuffix(".gz").removesuffix(".swf")
    try:
        return sites_of(_lines(path), name, rng, by_partition=by_partition)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise BadOption(
            f"{path} can't be unpacked: the file is incomplete or damaged.",
            hint="Download the file again, or unpack it by hand.",
        ) from None
    except OSError as error:
        raise BadOption(
            f"{path} can't be read: {error.strerror or error}.", hint="Give --trace a file in SWF, plain or .gz."
        ) from None


def _lines(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        packed = file.read(2) == GZIP
    with gzip.open(path) if packed else path.open("rb") as lines:
        for line in lines:
            yield line.decode("utf-8", "replace")
