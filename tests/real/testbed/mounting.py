"""Shows a folder of the machine in another mount namespace, read-only: `mounting.py FOLDER PID INSIDE`.

The folder is taken here (open_tree) and put there (move_mount) with the file descriptor in hand: the other side sees
none of our paths, so nothing can be mounted by name. Needs root and Linux 5.12.
"""

from __future__ import annotations

import ctypes
import os
import sys

OPEN_TREE, MOVE_MOUNT, MOUNT_SETATTR = 428, 429, 442  # the same numbers on every architecture
AT_FDCWD, AT_EMPTY_PATH, AT_RECURSIVE = -100, 0x1000, 0x8000
CLONE, CLOEXEC, READ_ONLY, FROM_EMPTY_PATH = 1, 0o2000000, 1, 4
CLONE_NEWNS = 0x20000

libc = ctypes.CDLL(None, use_errno=True)


def call(number: int, *arguments: object) -> int:
    answer = libc.syscall(number, *arguments)
    if answer < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), f"syscall {number}")
    return int(answer)


def show(folder: str, pid: int, inside: str) -> None:
    tree = call(OPEN_TREE, AT_FDCWD, folder.encode(), CLONE | CLOEXEC | AT_RECURSIVE)
    attributes = (ctypes.c_uint64 * 4)(READ_ONLY, 0, 0, 0)
    call(MOUNT_SETATTR, tree, b"", AT_EMPTY_PATH | AT_RECURSIVE, attributes, ctypes.sizeof(attributes))
    there = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY)
    if libc.setns(there, CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "setns")
    call(MOVE_MOUNT, tree, b"", AT_FDCWD, inside.encode(), FROM_EMPTY_PATH)


if __name__ == "__main__":
    show(sys.argv[1], int(sys.argv[2]), sys.argv[3])
