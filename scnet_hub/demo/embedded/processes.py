"""A job's processes: started by the launcher, watched, told to end, and counted.

Knows pids, process groups, CPU times and the files of a job's folder; nothing of queues. A pid counts only with its
start time, and never as a zombie: after a restart the number may belong to another process.
"""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import psutil

from ...adapters import owned_files

LAUNCHER = str(Path(__file__).with_name("launcher.py"))
SLACK = 2.0  # seconds by which a process may seem older than its job: start times are counted in ticks from boot
QUICK = ("-I", "-S", "-E")  # no site, no user's environment: 12 ms instead of 50


@dataclass(frozen=True, slots=True)
class Exit:
    code: int
    signal: int
    at: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Files:
    """Where a job starts and writes."""

    folder: Path
    directory: str
    output: str
    errors: str
    append: bool


def launch(files: Files, arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Starts the launcher with `folder/script`. Raises OSError if an output file can't be opened."""
    directory, complaint = files.directory, ""
    if not os.path.isdir(directory):
        complaint = (
            f"slurmstepd: error: couldn't chdir to `{directory}': No such file or directory: going to /tmp instead\n"
        )
        directory = "/tmp"
    with contextlib.ExitStack() as opened:
        output = opened.enter_context(open_output(directory, files.output, files.append))
        errors = opened.enter_context(open_output(directory, files.errors, files.append)) if files.errors else output
        if complaint:
            os.write(errors.fileno(), complaint.encode())
        return subprocess.Popen(
            [sys.executable, *QUICK, LAUNCHER, str(files.folder), str(files.folder / "script"), *arguments],
            stdin=subprocess.DEVNULL, stdout=output, stderr=errors, cwd=directory, env=dict(environment),
            start_new_session=True,
        )  # fmt: skip


def open_output(directory: str, path: str, append: bool) -> BinaryIO:
    """Opens an output file as the job's user with 0666 minus the umask, as Slurm does; follows links, because they are
    the submitter's own choice. Raises OSError for anything but a regular file, /dev/null or a FIFO that is being read:
    waiting for a FIFO's reader would stop this daemon."""
    where = os.path.join(directory, path)
    how = (
        os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY | (os.O_APPEND if append else os.O_TRUNC)
    )
    handle = os.open(where, how, 0o666)
    found = os.fstat(handle)
    if not (
        stat.S_ISREG(found.st_mode) or stat.S_ISFIFO(found.st_mode) or os.path.samestat(found, os.stat(os.devnull))
    ):
        os.close(handle)
        raise owned_files.WrongKind(where, "something else")
    os.set_blocking(handle, True)  # from now on the job's own
    return os.fdopen(handle, "ab" if append else "wb")


def exit_of(folder: Path) -> Exit | None:
    """Returns how the job of this folder ended, as its launcher wrote it; None: it has not ended, or its launcher was
    killed."""
    try:
        code, number, at, cpu = _words(folder / "exit")
        return Exit(int(code), int(number), float(at), float(cpu))
    except (OSError, ValueError):
        return None


def job_pid(folder: Path) -> int:
    """Returns the pid, which is also the process group and session, of the job's script; 0: not started yet, or the
    number belongs to another process by now."""
    try:
        pid, at = _words(folder / "pid")
        found = born(int(pid))
        return int(pid) if not found or abs(found - float(at)) < SLACK else 0
    except (OSError, ValueError):
        return 0


def _words(path: Path) -> list[str]:
    """Returns the words that the launcher wrote, in a folder that jobs of the same account may change."""
    return owned_files.read_all(path, 1000).decode().split()


def born(pid: int) -> float:
    """Returns when the process started; 0 if there is no process or it is a zombie."""
    try:
        process = psutil.Process(pid)
        return 0.0 if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return 0.0


def alive(pid: int, since: float) -> bool:
    at = born(pid) if pid else 0.0
    return at > 0 and abs(at - since) < 1.0  # a corrected clock moves the computed start time a little


NEVER = frozenset({0, 1, os.getpid()})
Member = tuple[int, float]  # pid and start time


@dataclass(frozen=True, slots=True)
class Root:
    """Where a job's processes begin: its launcher's pid (0: gone), the session of its script (0: not started), and when
    the job started: an older process never belongs to the job."""

    launcher: int
    session: int
    since: float


@dataclass(frozen=True, slots=True)
class Fact:
    parent: int
    session: int
    member: Member
    cpu: float


class Census:
    """Finds the processes of each job, and their CPU time, in one pass over the machine's processes.

    A process belongs to a job if it descends from the job's launcher, is in its session, or was found to belong to it
    before: only Linux gives the launcher the processes whose parents are gone.
    """

    def __init__(self) -> None:
        self._seen: dict[int, set[Member]] = {}

    def take(self, jobs: Mapping[int, Root]) -> dict[int, float]:
        """Returns the CPU seconds of the living processes of each of these jobs, by job id."""
        facts = _facts()
        used: dict[int, float] = {}
        for job, root in jobs.items():
            seen = self._seen.setdefault(job, set())
            mine = _of_job(root, seen, facts)
            self._seen[job] = {facts[pid].member for pid in mine}
            used[job] = sum(facts[pid].cpu for pid in mine)
        return used

    def members(self, job: int, root: Root) -> set[Member]:
        """Returns the living processes of one job now."""
        self.take({job: root})
        return self._seen[job]

    def forget(self, job: int) -> set[Member]:
        """Forgets a job; returns its last known processes."""
        return self._seen.pop(job, set())


def _of_job(root: Root, seen: set[Member], facts: Mapping[int, Fact]) -> set[int]:
    """Returns the pids of one job. These processes get killed with the job, so whatever the tables say, a process older
    than the job, the first process and this daemon are left out."""
    young = {pid: fact for pid, fact in facts.items() if fact.member[1] >= root.since - SLACK and pid not in NEVER}
    first = {pid for pid, fact in young.items() if fact.session == root.session > 0 or fact.member in seen}
    begin = {root.launcher} & young.keys()
    return (first | _descendants(first | begin, young)) - begin


def _facts() -> dict[int, Fact]:
    facts = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError), process.oneshot():
            if process.status() != psutil.STATUS_ZOMBIE:
                member = (process.pid, process.create_time())
                facts[process.pid] = Fact(process.ppid(), os.getsid(process.pid), member, sum(process.cpu_times()[:4]))
    return facts


def _descendants(roots: set[int], facts: Mapping[int, Fact]) -> set[int]:
    children: dict[int, list[int]] = {}
    for pid, fact in facts.items():
        children.setdefault(fact.parent, []).append(pid)
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        for child in children.get(waiting.pop(), ()):
            if child not in found:
                found.add(child)
                waiting.append(child)
    return found


def tell_group(root: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(root, number)


def kill(members: Iterable[Member]) -> None:
    """Sends SIGKILL to each member that still is the process that was seen."""
    for pid, since in members:
        if pid not in NEVER and alive(pid, since):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
