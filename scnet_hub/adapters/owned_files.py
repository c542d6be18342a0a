"""Opens files that a job or a person owns. Such a file may be replaced at any time: by a FIFO that blocks the reader,
by a symbolic link to a secret, by a device without an end.

Every file is opened with O_NONBLOCK, O_NOFOLLOW and O_CLOEXEC and must be a regular file. The folder that holds the
file must not be a symbolic link either, because a job owns its folder. Folders above that folder belong to the centre's
page and may be links (`/home` often is a link).
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

CAREFUL = os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY
KINDS = {
    stat.S_IFLNK: "a symbolic link", stat.S_IFDIR: "a folder", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
}  # fmt: skip


class WrongKind(OSError):
    """Raised when the path is not a regular file in a real folder; `strerror` names the kind that was found."""

    def __init__(self, path: str | Path, kind: str, *, wanted: str = "a regular file") -> None:
        super().__init__(errno.EINVAL, f"it is {kind}, not {wanted}", str(path))


@contextlib.contextmanager
def folder(path: Path) -> Iterator[int]:
    """Yields a descriptor of the folder `path`. Raises WrongKind for a symbolic link, else OSError."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | CAREFUL)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR) and path.is_symlink():
            raise WrongKind(path, KINDS[stat.S_IFLNK], wanted="a folder") from None
        raise
    try:
        yield handle
    finally:
        os.close(handle)


def open_regular(path: Path, flags: int, mode: int = 0o600, *, within: int | None = None) -> int:
    """Returns a descriptor of the regular file `path`, or of the file with that name in the folder `within`, if given.
    Raises WrongKind, OSError."""
    name = path if within is None else path.name
    try:
        handle = os.open(name, flags | CAREFUL, mode, dir_fd=within)
    except OSError:
        if (kind := _kind(name, within)) != stat.S_IFREG:
            raise WrongKind(path, KINDS[kind]) from None
        raise
    if (kind := stat.S_IFMT(os.fstat(handle).st_mode)) != stat.S_IFREG:
        os.close(handle)
        raise WrongKind(path, KINDS[kind])
    return handle


def _kind(name: str | Path, within: int | None) -> int:
    """Returns the type of a file that could not be opened; S_IFREG if the type can't be read."""
    try:
        return stat.S_IFMT(os.lstat(name, dir_fd=within).st_mode)
    except OSError:
        return stat.S_IFREG


def read_end(path: Path, size: int) -> bytes:
    """Returns the last `size` bytes of a regular file; b"" if there is no such file. Raises WrongKind, OSError."""
    try:
        with folder(path.parent) as where, os.fdopen(open_regular(path, os.O_RDONLY, within=where), "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - size))
            return file.read(size)
    except (FileNotFoundError, NotADirectoryError):
        return b""


def read_all(path: Path, most: int) -> bytes:
    """Returns a regular file's content. Raises WrongKind, and OSError also for a file of more than `most` bytes."""
    with os.fdopen(open_regular(path, os.O_RDONLY), "rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"it is larger than {most} bytes", str(path))
    return data


def write(path: Path, data: bytes, mode: int) -> None:
    """Writes a new file beside `path` and renames it, so that readers never see half a file or a wider mode than
    `mode`. Whatever stood at `path` is replaced and never opened. Raises WrongKind, OSError."""
    make_folder(path.parent)
    with folder(path.parent) as where:
        part = f".{path.name[:100]}.{secrets.token_hex(4)}"
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | CAREFUL, 0o600, dir_fd=where)
        try:
            with os.fdopen(handle, "wb") as file:
                os.fchmod(handle, mode)
                file.write(data)
            os.replace(part, path.name, src_dir_fd=where, dst_dir_fd=where)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(part, dir_fd=where)
            raise


def make_folder(path: Path) -> None:
    """Makes a folder like mkdir -p, but parents get 0700 too (Path.mkdir gives parents the umask's mode)."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)
