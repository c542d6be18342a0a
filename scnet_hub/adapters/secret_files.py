"""Reads and makes secrets in files of mode 0600, and never prints them."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from ..errors import SpecError


def read_secret(path: Path) -> str:
    """Returns the secret in a file. Raises SpecError if the file is missing, empty or readable by others."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_text().strip()
    except OSError as error:
        raise SpecError(
            f"{path}: {error.strerror}.", hint="A secret is expected there, in a file of mode 600."
        ) from error
    except UnicodeDecodeError as error:
        raise SpecError(
            f"{path} is not text in UTF-8.", hint="A secret is expected there. Put the file back from a backup."
        ) from error
    if mode & 0o077:
        raise SpecError(
            f"{path} has mode {mode:o}: others can read the secret in it.",
            hint=f"chmod 600 {path}, and make a new secret.",
        )
    if not text:
        raise SpecError(f"{path} is empty.", hint="A secret is expected there.")
    return text


def make_secret(path: Path) -> str:
    """Returns the secret in `path`; makes a new secret if there is no file, with mode 0600 from its first byte."""
    if not path.exists():
        write_secret(path, secrets.token_hex(32))
    return read_secret(path)


def write_secret(path: Path, text: str) -> None:
    """Writes a 0600 file in one step: the old content is replaced whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = path.with_name(path.name + ".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)
