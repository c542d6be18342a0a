"""Shared by the parts of the set-up: running a command, printing how long it took, and the note of a finished part.

Knows nothing of Python environments or proxies.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

OUTPUT_LINES = 25  # of a failed command; earlier lines rarely show the error


class Failed(Exception):
    """Raised with a sentence for people: what failed and what to try."""


class Step(Protocol):
    """A part of the set-up. `done` is quick; `make` may be repeated and writes the note last."""

    @property
    def title(self) -> str: ...
    def done(self) -> bool: ...
    def make(self) -> None: ...


def run_steps(parts: Sequence[Step]) -> int:
    """Makes the parts that are not done, in order; returns how many. Raises Failed."""
    wanted = [part for part in parts if not part.done()]
    for part in wanted:
        part.make()
    return len(wanted)


def digest(files: Sequence[Path], *words: str) -> str:
    """Returns a hash of the files' contents and of `words`: equal as long as nothing has to be made again."""
    seen = hashlib.sha256("\0".join(words).encode())
    for file in files:
        seen.update(hashlib.sha256(file.read_bytes() if file.exists() else b"").digest())
    return seen.hexdigest()


def noted(note: Path) -> str:
    return note.read_text() if note.exists() else ""


def write_note(note: Path, text: str) -> None:
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(text)


def run(title: str, argv: Sequence[str | Path], *, hint: str, folder: Path | None = None) -> None:
    """Runs one command and prints its title with the seconds it took on stderr. Raises Failed with the end of its
    output and `hint`."""
    began = time.monotonic()
    print(f"… {title}", end="", file=sys.stderr, flush=True)  # stdout may be reserved for a JSON document
    words = [str(word) for word in argv]
    # arguments tell uv and npm where to install: a foreign environment in the caller's shell must not redirect them
    drop = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "CONDA_PREFIX", "NODE_ENV")
    env = {name: value for name, value in os.environ.items() if name not in drop}
    try:
        done = subprocess.run(
            words, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
    except OSError as error:
        print(file=sys.stderr, flush=True)
        raise Failed(f"{title}: {error}. {hint}") from error
    print(f" ({time.monotonic() - began:.1f} s)", file=sys.stderr, flush=True)
    if done.returncode:
        end = "\n".join(done.stdout.strip().splitlines()[-OUTPUT_LINES:])
        raise Failed(f"{title}: the command ended with {done.returncode}.\n{end}\n\n{hint}")


@contextlib.contextmanager
def alone(root: Path) -> Iterator[None]:
    """Holds the checkout or environment for one set-up at a time: a second one waits, then finds everything done."""
    import fcntl

    folder = os.open(root, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print("… waiting for another set-up in this folder", file=sys.stderr, flush=True)
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
