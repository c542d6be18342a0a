"""The keys of the database's secrets: tokens and nonces of live sessions are stored encrypted, so that a copy of the
database holds no usable secret.

The key file lists one key a line, newest first (Fernet: AES-128 in CBC mode with HMAC-SHA256). Secrets are encrypted
with the first key and read with any key that fits. `Database.open` encrypts all secrets again with the first key; after
that, older lines may be removed.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from ...errors import NotStored, SpecError
from ..secret_files import read_secret, write_secret

MARK = "fernet:"


NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)


class Keys:
    """Encrypts text. The constructor reads nothing; with `file` the first key is a new key, which `keep` writes to that
    file."""

    def __init__(self, *keys: str, source: str = "", file: Path | None = None) -> None:
        self.source, self._file, self._new = source or "the key file", file, keys[0] if file else ""
        try:
            self._all = MultiFernet([Fernet(key) for key in keys])
            self._first = Fernet(keys[0])
        except (ValueError, IndexError) as error:
            raise SpecError(
                f"{self.source} holds a line that is not a key.",
                hint="A key is 32 random bytes in URL-safe base64, one a line, the newest first. Put the file back "
                "from a backup.",
            ) from error

    @classmethod
    def read(cls, path: Path) -> Keys:
        """Returns the keys in a 0600 file; if there is no file, a new key that is not stored yet. Raises SpecError."""
        if not os.path.lexists(path):
            return cls(Fernet.generate_key().decode(), source=str(path), file=path)
        return cls(*read_secret(path).split(), source=str(path))

    def keep(self) -> None:
        """Writes a new key into its file, before anything is encrypted with the key. Harmless to repeat. Raises
        NotStored if only disk space is missing, else SpecError."""
        if self._file is None:
            return
        try:
            write_secret(self._file, self._new)
        except OSError as error:
            words = f"{self._file} can't be written: {error.strerror}."
            if error.errno in NO_ROOM:
                raise NotStored(words, hint="Free space on the disk that holds this file.") from error
            raise SpecError(words, hint="The broker keeps the key of its database's secrets in this file.") from error
        self._file = None

    def seal(self, text: str) -> str:
        return MARK + self._first.encrypt(text.encode()).decode()

    def open(self, text: str) -> str:
        """Decrypts the text; returns text that was never encrypted unchanged. Raises SpecError if no key fits."""
        if not text.startswith(MARK):
            return text
        try:
            return self._all.decrypt(text.removeprefix(MARK)).decode()
        except InvalidToken as error:
            raise SpecError(
                f"A secret in the broker's database was encrypted with a key that is not in {self.source}.",
                hint="Add that key again as a further line; at its start the broker encrypts all secrets with the "
                "first key.",
            ) from error

    def newest(self, text: str) -> bool:
        """Returns whether the text is encrypted with the first key."""
        try:
            return text.startswith(MARK) and bool(self._first.decrypt(text.removeprefix(MARK)) or True)
        except InvalidToken:
            return False


def add_key(path: Path) -> None:
    """Puts a new key before the others: the broker uses the new key from its next start. Raises SpecError if there is
    no such file."""
    kept = read_secret(path)
    write_secret(path, f"{Fernet.generate_key().decode()}\n{kept}")
