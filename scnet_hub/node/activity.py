"""Signs of work that are visible from outside a session's server: its processes, its GPUs, and marks that programs
leave.

Every process of a session has SCNET_SESSION in its initial environment, wherever the process was started: in a kernel,
a terminal, a shell that has ended. A process that computed or moved data since the last look is at work; a process that
only waits is not. Linux only (/proc); elsewhere, and without nvidia-smi, that sign is missing and the others decide.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

CORES = 0.05  # of one core: an idle kernel, scheduler or editor stays below
BYTES = 100_000  # per second, read and written
GPU_PERCENT = 5
GPU_WAITS = 10.0  # seconds for nvidia-smi to answer
SLOW_LOOK = 5.0  # seconds that two looks must be apart to be meaningful


@dataclass(frozen=True, slots=True)
class Use:
    """What a process has used since its start: seconds of cores, and bytes."""

    name: str
    seconds: float
    moved: int


class Processes:
    """Compares a session's processes with those of the last look."""

    def __init__(self, session: str, proc: Path = Path("/proc")) -> None:
        self._mark = f"SCNET_SESSION={session}".encode()
        self._proc = proc
        self._seen: dict[tuple[int, str], Use] = {}
        self._at: float | None = None
        self._working: tuple[str, ...] = ()

    def working(self, now: float) -> tuple[str, ...]:
        """Returns a phrase for each process that worked since the last look; none at the first look."""
        if self._at is not None and now - self._at < SLOW_LOOK:
            return self._working
        seen = dict(self._uses())
        if self._at is not None:
            self._working = tuple(sorted({f"{use.name} computes" for use in busier(self._seen, seen, now - self._at)}))
        self._seen, self._at = seen, now
        return self._working

    def _uses(self) -> Iterator[tuple[tuple[int, str], Use]]:
        try:
            pids = [int(name) for name in os.listdir(self._proc) if name.isdecimal()]
        except OSError:
            pids = []
        for pid in pids:
            if pid == os.getpid():
                continue
            try:
                stat = (self._proc / str(pid) / "stat").read_text(errors="replace")
                name, born, seconds = read_stat(stat)
                key = (pid, born)
                if key in self._seen or self._mark in (self._proc / str(pid) / "environ").read_bytes().split(b"\0"):
                    yield key, Use(name, seconds, moved((self._proc / str(pid) / "io").read_text()))
            except (OSError, ValueError, IndexError):  # the process ended meanwhile, or belongs to another user
                continue


def read_stat(text: str) -> tuple[str, str, float]:
    """Reads one /proc/PID/stat: name, time of birth and seconds of cores, including those of children that ended."""
    name, rest = text[text.index("(") + 1 : text.rindex(")")], text[text.rindex(")") + 2 :].split()
    ticks = sum(int(rest[place]) for place in (11, 12, 13, 14))
    return name, rest[19], ticks / os.sysconf("SC_CLK_TCK")


def moved(text: str) -> int:
    """Returns the bytes read and written in one /proc/PID/io, by files, pipes and sockets alike."""
    facts = dict(line.split(": ") for line in text.splitlines())
    return int(facts["rchar"]) + int(facts["wchar"])


def busier(before: Mapping[tuple[int, str], Use], after: Mapping[tuple[int, str], Use], seconds: float) -> list[Use]:
    """Returns the processes that used a share of a core, or moved data, in the `seconds` between two looks. A new
    process counts from its start."""
    nothing = Use("", 0.0, 0)
    return [
        use
        for key, use in after.items()
        if use.seconds - before.get(key, nothing).seconds >= CORES * seconds
        or use.moved - before.get(key, nothing).moved >= BYTES * seconds
    ]


def marked(folder: str) -> float:
    """Returns the seconds since a file in `folder` was last touched; infinite if there is no file. Programs that wait
    for other programs (a Dask cluster's scheduler) touch a file while there is work."""
    try:
        times = [entry.stat().st_mtime for entry in os.scandir(folder)]
    except OSError:
        times = []
    return max(0.0, time.time() - max(times)) if times else float("inf")


def gpus_in_use(env: Mapping[str, str], command: str = "nvidia-smi") -> tuple[str, ...]:
    """Returns a phrase for each GPU of this job that computes. Memory that is only held is not work."""
    mine = env.get("CUDA_VISIBLE_DEVICES", "")
    chosen = ["-i", mine] if mine else []
    argv = [command, *chosen, "--query-gpu=index,utilization.gpu", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=GPU_WAITS, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return read_gpus(done.stdout)


def read_gpus(text: str) -> tuple[str, ...]:
    cells = [[cell.strip() for cell in line.split(",")] for line in text.splitlines()]
    return tuple(
        f"GPU {one[0]} computes" for one in cells if len(one) == 2 and one[1].isdecimal() and int(one[1]) >= GPU_PERCENT
    )
