"""The keys of the database's secrets: tokens and nonces of live sessions are written encrypted, so that a copy of the database holds none.

The key file lists one key a line, the newest first (Fernet: AES-128 in CBC mode with HMAC-SHA256). What is written is encrypted with the
first, what is read with whichever fits; `Database.open` encrypts everything anew with the first, after which older lines may go.
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
    """Encrypts text. Constructing reads nothing; with `file` it is a new key, which `keep` writes there."""

    def __init__(self, *keys: str, source: str = "", file: Path | None = None) -> None:
        self.source, self._file, self._new = source or "the key file", file, keys[0] if file else ""
        try:
            self._all = MultiFernet([Fernet(key) for key in keys])
            self._first = Fernet(keys[0])
        except (ValueError, IndexError) as error:
            raise SpecError(
                f"{self.source} holds a line that is not a key.",
                hint="A key is 32 random bytes in URL-safe base64, one a line, the newest first. Put the file back from a backup.",
            ) from error

    @classmethod
    def read(cls, path: Path) -> Keys:
        """The keys in a 0600 file; a new one, which is not kept yet, where there is no file. Raises SpecError."""
        if not os.path.lexists(path):
            return cls(Fernet.generate_key().decode(), source=str(path), file=path)
        return cls(*read_secret(path).split(), source=str(path))

    def keep(self) -> None:
        """Writes a new key into its file: before anything is encrypted with it. Harmless to repeat. Raises NotStored where only room
        lacks; else SpecError."""
        if self._file is None:
            return
        try:
            write_secret(self._file, self._new)
        except OSError as error:
            words = f"{self._file} can't be written: {error.strerror}."
            if error.errno in NO_ROOM:
                raise NotStored(words, hint="Make room on the disk that it lies on.") from error
            raise SpecError(words, hint="The broker keeps the key of its database's secrets there.") from error
        self._file = None

    def seal(self, text: str) -> str:
        return MARK + self._first.encrypt(text.encode()).decode()

    def open(self, text: str) -> str:
        """The text again; what was never encrypted as it is. Raises SpecError if no key fits."""
        if not text.startswith(MARK):
            return text
        try:
            return self._all.decrypt(text.removeprefix(MARK)).decode()
        except InvalidToken as error:
            raise SpecError(
                f"A secret in the broker's database was encrypted with a key that is not in {self.source}.",
                hint="Put that key back as a further line; the broker encrypts all anew with the first one at its start.",
            ) from error

    def newest(self, text: str) -> bool:
        """Whether it was encrypted, and with the first key."""
        try:
            return text.startswith(MARK) and bool(self._first.decrypt(text.removeprefix(MARK)) or True)
        except InvalidToken:
            return False


def add_key(path: Path) -> None:
    """Puts a new key before the others: it counts from the broker's next start on. Raises SpecError if there is no such file."""
    kept = read_secret(path)
    write_secret(path, f"{Fernet.generate_key().decode()}\n{kept}")
