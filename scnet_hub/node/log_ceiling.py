"""Keeps a session's log below a ceiling: a small process beside the session checks the log's size every second and cuts
the log.

Nothing is between the program and its log, so nothing is lost or late below the ceiling. The log may exceed the
ceiling for a second. Standard library only.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time

from .call_home import lives

EVERY = 1.0  # seconds between two looks
OUTPUT = 1  # the log: a batch job's output and errors are one file


def keep_below(most: int) -> None:
    """Starts the process that cuts this process's output if the output is a file over `most` bytes (0: never cut). That
    process ends when this process has ended, whatever program this process is by then, and is not a child of it: a
    program that waits for all its children must not wait for the cutting process."""
    if not most or not stat.S_ISREG(os.fstat(OUTPUT).st_mode):
        return
    program = os.getpid()
    if os.fork() == 0:
        if os.fork() == 0:
            _let_go()
            _watch(program, most)
        os._exit(0)
    os.wait()


def _let_go() -> None:
    """Closes all of the session's open files except its log."""
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 2)
    os.closerange(3, os.sysconf("SC_OPEN_MAX") if os.sysconf("SC_OPEN_MAX") < 65536 else 65536)


def _watch(program: int, most: int) -> None:
    removed = 0
    while lives(program):
        with contextlib.suppress(OSError):  # the file system is away, or full: checked again later
            removed += cut(OUTPUT, most, removed)
        time.sleep(EVERY)


def cut(log: int, most: int, removed: int = 0) -> int:
    """Cuts the open file `log` to the first half of `most` bytes if it is larger than `most`, and adds a sentence.
    Returns how many bytes were removed. `removed` is how many were removed before. Later output follows the
    sentence."""
    size, kept = os.fstat(log).st_size, most // 2
    if size <= most:
        return 0
    os.ftruncate(log, kept)
    os.lseek(log, 0, os.SEEK_END)  # for all processes that write by the same descriptor and not at the file's end
    os.write(log, sentence(most, removed + size - kept).encode())
    return size - kept


def sentence(most: int, removed: int) -> str:
    return (
        f"\n[scnet] This log reached {_size(most)}, the most that a log may take at this centre: {removed:,} "
        "bytes that followed here were"
        " removed. Let your program write large output to a file of your own.\n"
    )


def _size(count: int) -> str:
    return f"{count / 2**20:g} MiB" if count >= 2**20 else f"{count:,} bytes"
