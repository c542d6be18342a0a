"""Stops a cluster's sessions when the process that made the cluster has ended, however it ended: a killed kernel can do
nothing itself.

The guard is a small process at the other end of a pipe, one for each client of a kernel. It knows the clusters that are
open; when the pipe closes, or its parent is another process, it stops the sessions of these clusters and ends. A
session that ends takes the guard along: for that case the jobs end with their session (`ends_with`).
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from ...display.session_states import STOPPING
from ...errors import ScnetError
from .listing import cluster_of

if TYPE_CHECKING:
    from ..rest import Client

LOOK = 5.0  # seconds between looks at the parent: a child of a fork may hold the pipe open
PAUSE, PERSIST = 2.0, 600.0  # seconds between tries to stop what is left, and for how long the broker is asked


class Guard:
    """This process's end of the pipe. Thread-safe; does nothing in the child of a fork."""

    def __init__(self, client: Client) -> None:
        self._lock, self._pid = threading.Lock(), os.getpid()
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True, cwd="/",
        )  # fmt: skip  # outlives this process: must not hold a pipe that others read
        self._say({"url": client.url, "token": client.token})
        atexit.register(self.close)

    def open(self, cluster: str) -> None:
        self._say({"open": cluster})

    def closed(self, cluster: str) -> None:
        self._say({"closed": cluster})

    def close(self) -> None:
        """Closes the pipe, so that the guard stops what is still open."""
        if os.getpid() == self._pid and self._process.stdin:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1)  # the usual end: nothing is open

    def _say(self, word: dict[str, str]) -> None:
        with self._lock, contextlib.suppress(OSError, ValueError):  # it was killed: the workers' death timeout is left
            if self._process.stdin and os.getpid() == self._pid:
                self._process.stdin.write(json.dumps(word).encode() + b"\n")
                self._process.stdin.flush()


_guards: dict[tuple[int, str, str], Guard] = {}
_lock = threading.Lock()


def guard_of(client: Client) -> Guard:
    """Returns this process's guard with that client's address and token, and starts it if there is none."""
    key = (os.getpid(), client.url, client.token)
    with _lock:
        if key not in _guards:
            _guards[key] = Guard(client)
        return _guards[key]


# ---- the guard's own process


def main() -> None:
    access, clusters = _listen(sys.stdin.fileno(), os.getppid())
    if clusters:
        from ..rest import Client  # imported only now: until then this process is small

        with Client(access["url"], access["token"]) as client:
            stop(client, clusters)


def _listen(pipe: int, parent: int) -> tuple[dict[str, str], set[str]]:
    """Returns the broker's address and the open clusters when the pipe has closed or the parent has ended."""
    access: dict[str, str] = {}
    clusters: set[str] = set()
    rest = b""
    while True:
        if not select.select([pipe], [], [], LOOK)[0]:
            if os.getppid() != parent:
                return access, clusters
            continue
        if not (data := os.read(pipe, 65536)):
            return access, clusters
        *lines, rest = (rest + data).split(b"\n")
        for word in map(json.loads, lines):
            clusters |= {word["open"]} if "open" in word else set()
            clusters -= {word["closed"]} if "closed" in word else set()
            access = word if "url" in word else access


def stop(
    client: Any,
    clusters: Collection[str],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Stops every live session of these clusters, again and again until none is left: a submission may be on its way,
    and the broker away."""
    end, quiet = clock() + PERSIST, 0
    while quiet < 2 and clock() < end:
        try:
            left = [one for one in client.sessions() if one["state"] != STOPPING and cluster_of(one) in clusters]
            for one in left:
                client.stop(one["id"])
            quiet = 0 if left else quiet + 1
        except ScnetError:
            quiet = 0
        sleep(PAUSE)


if __name__ == "__main__":
    main()
