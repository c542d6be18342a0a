"""Packs the small files that travel with a batch job: finds them, names them as the job will see them, and packs them
for the request.

A job may run where this folder does not exist. The sent files lie there under the same relative names, so that the
command's words keep their meaning. This module does not know the broker, which checks the names again; the job's first
process checks them once more.
"""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from ..errors import BadOption
from ..units import format_memory

LIMIT = 128 * 1024  # bytes in total that the broker accepts
ELSEWHERE = "Put it into your home at the centre and give its path there, or send a smaller file."


def program(argv: Sequence[str], here: Path) -> str:
    """Returns the first word of a command that names a file in this folder: `python train.py` → "train.py"; "" if there
    is none."""
    # `python` is not the name of a file here
    words = argv[1:] if shutil.which(argv[0]) and "/" not in argv[0] else argv
    return next((word for word in words if _is_inside(word, here)), "")


def left_here(argv: Sequence[str], names: Iterable[str], here: Path) -> list[str]:
    """Returns the words that name a file here which is not sent: where the job runs, such files may not exist."""
    sent = set(names)
    return [
        word for word in dict.fromkeys(argv) if _is_relative_file(word, here) and os.path.normpath(word) not in sent
    ]


def gather(paths: Iterable[str | os.PathLike[str]], here: Path) -> dict[str, bytes]:
    """Reads the files, by the name that the job will see: relative to this folder, or the bare name of a file outside
    it. Raises BadOption for paths that are not readable files, and for more than 128 KiB in total."""
    found: dict[str, bytes] = {}
    origins: dict[str, str] = {}
    for path in (here / _text(each) for each in paths):
        name, origin = _name(path, here), os.path.realpath(path)
        if origins.setdefault(name, origin) != origin:
            raise BadOption(
                f"Two files would have the name {name!r} in the job's folder: {origins[name]} and {origin}."
            )
        found[name] = _read(path, LIMIT - sum(len(data) for other, data in found.items() if other != name))
    return found


def packed(files: Mapping[str, bytes]) -> dict[str, str]:
    """Encodes the files for the broker."""
    return {name: base64.b64encode(data).decode() for name, data in files.items()}


def _is_inside(word: str, here: Path) -> bool:
    return _is_relative_file(word, here) and ".." not in PurePath(os.path.normpath(word)).parts


def _is_relative_file(word: str, here: Path) -> bool:
    try:
        return bool(word) and not word.startswith("-") and not os.path.isabs(word) and (here / word).is_file()
    except (OSError, ValueError):  # a name that no file can have: too long, or with a NUL
        return False


def _text(path: Any) -> str:
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(text, str) or not text or "\0" in text:
        raise BadOption(f"files: {str(path)[:40]!r} is not a path.")
    return text


def _name(path: Path, here: Path) -> str:
    relative = PurePath(os.path.relpath(os.path.normpath(path), here))
    return path.name if relative.parts[:1] == ("..",) else str(relative)


def _read(path: Path, room: int) -> bytes:
    """Reads at most `room` bytes; refuses a larger file without reading it whole."""
    try:
        if path.is_dir():
            raise BadOption(f"{path} is a folder.", hint="Pack it (`tar czf inputs.tar.gz ...`) and send that.")
        if not path.is_file():
            raise BadOption(
                f"{path} does not exist."
                if not path.exists()
                else f"{path} is not a regular file, so it can't be sent."
            )
        with path.open("rb") as file:
            data = file.read(room + 1)
    except (OSError, ValueError) as error:
        raise BadOption(f"{path} can't be read: {getattr(error, 'strerror', None) or error}.") from error
    if len(data) > room:
        size = format_memory(path.stat().st_size)
        raise BadOption(
            f"{path} ({size}) is too large: the files of a job may have {LIMIT // 1024} KiB in total.", hint=ELSEWHERE
        )
    return data
