"""Every fault and every opposite as an action on an arena: `strike(arena, name, target, at)`. Blocking.

The centres' own are the testbed's. `ctl-kill` waits for a quiet moment at a Slurm centre: one that is killed within
seconds of a job's start forgets that it started, which is its own fault and not the federation's.
"""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing

from tests.real.testbed import faults as testbed_faults
from tests.real.testbed.layout import CENTRES

from .arena import Arena, fill, revive, until

Act = Callable[[Arena, str, str], None]  # arena, target, node or account
QUIET = 7  # seconds without a job's start or end
BACK = 90.0
LISTED = ["squeue", "--all", "--noheader", "--format=%t %M"]


class NotNow(Exception):
    """The moment for it did not come: it is left out, and said so."""


def strike(arena: Arena, name: str, target: str, at: str = "") -> None:
    """Breaks or mends, and returns when that is done. Raises NotNow, or what went wrong."""
    if act := ACTIONS.get(name):
        return act(arena, target, at)
    if name == "ctl-kill" and CENTRES[target].kind == "slurm":
        _quiet(arena, target)
    arena.testbed.fault(target, name, at)


def _quiet(arena: Arena, centre: str) -> None:
    if not until(
        lambda: all(_grown(line) for line in arena.testbed.at(centre, LISTED, timeout=20).stdout.splitlines()), 25
    ):
        raise NotNow("jobs kept starting")


def _grown(line: str) -> bool:
    """Whether a job has been running for long enough."""
    state, _, time = line.strip().partition(" ")
    return state == "R" and (len(time) > len("0:00") or int(time[2:]) >= QUIET)


def _signalled(number: signal.Signals) -> Act:
    return lambda arena, process, at: os.kill(arena.pid(process), number)


def _back(arena: Arena, process: str, at: str) -> None:
    """`scnet demo` starts it again by itself."""
    if not until(lambda: arena.answers(process), BACK):
        raise RuntimeError(f"the {process} did not come back in {BACK:.0f} s")


def _unhang(arena: Arena, process: str, at: str) -> None:
    os.kill(arena.pid(process), signal.SIGCONT)
    _back(arena, process, at)


def _disk_full(arena: Arena, target: str, at: str) -> None:
    """The write-ahead log is emptied first, or SQLite would write into the room that the log has already."""
    with closing(sqlite3.connect(arena.database, timeout=10)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    fill(arena.home / "disk")


def _disk_free(arena: Arena, target: str, at: str) -> None:
    (arena.home / "disk" / "full").unlink(missing_ok=True)
    _back(arena, "broker", at)


def _clock_behind(arena: Arena, target: str, at: str) -> None:
    """New certificates have expired before the centres see them. Standing connections live on, so they are cut."""
    arena.clock.touch()
    for centre in arena.testbed.centres:
        arena.testbed.at(centre, ["sh", "-c", 'kill $(pgrep -P "$(cat /run/sshd.pid)") 2>/dev/null || true'])


def _clock_right(arena: Arena, target: str, at: str) -> None:
    arena.clock.unlink(missing_ok=True)


def _up(arena: Arena, centre: str, at: str) -> None:
    revive(arena, centre)


ACTIONS: dict[str, Act] = {
    **{f"{process}-kill": _signalled(signal.SIGKILL) for process in ("hub", "broker", "proxy")},
    **{f"{process}-restart": _signalled(signal.SIGTERM) for process in ("hub", "broker", "proxy")},
    **{f"{process}-hang": _signalled(signal.SIGSTOP) for process in ("hub", "broker", "proxy")},
    **{f"{process}-back": _back for process in ("hub", "broker", "proxy")},
    **{f"{process}-unhang": _unhang for process in ("hub", "broker", "proxy")},
    "disk-full": _disk_full,
    "disk-free": _disk_free,
    "clock-behind": _clock_behind,
    "clock-right": _clock_right,
    "up": _up,
}
KNOWN = set(ACTIONS) | set(testbed_faults.FAULTS)
