"""A job's first process: runs the script in a session of its own, waits, and writes how it ended into the job's folder.

Started as `python -ISE launcher.py FOLDER PROGRAM [ARGUMENT...]`; standard library only and few imports, because it
runs before every job. It outlives the daemon, so an end while the daemon is away still has its exit code, time and CPU
time. On Linux it adopts the processes that the script leaves behind, counts them and ends them with the job.
"""

import os
import signal
import sys
import time

PR_SET_CHILD_SUBREAPER = 36
DEAF_TO = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(folder: str, argv: list[str]) -> None:
    for number in DEAF_TO:
        # only the job is signalled to end; this process must see how the job ends
        signal.signal(number, signal.SIG_IGN)
    adopt_orphans()
    job = os.fork()
    if job == 0:
        run(argv)
    write(folder, "pid", f"{job} {time.time():.3f}\n")
    status, cpu = wait_for(job)
    ended_at = time.time()
    cpu += end_the_rest()
    code, killed = (os.WEXITSTATUS(status), 0) if os.WIFEXITED(status) else (0, os.WTERMSIG(status))
    write(folder, "exit", f"{code} {killed} {ended_at:.6f} {cpu:.6f}\n")


def run(argv: list[str]) -> None:
    os.setsid()
    for number in (*DEAF_TO, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)  # an ignored signal would stay ignored in the program
    try:
        os.execv(argv[0], argv)
    except OSError as error:
        os.write(2, f"slurmstepd: error: execve(): {argv[0]}: {error.strerror}\n".encode())
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)


def adopt_orphans() -> None:
    """Makes this process, not PID 1, the parent of descendants that lose theirs. Called before the fork, or a quick
    descendant is missed."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def wait_for(job: int) -> tuple[int, float]:
    """Returns the job's wait status, and the CPU seconds of the job and of all processes that ended before it."""
    cpu = 0.0
    while True:
        pid, status, used = os.wait4(-1, 0)
        cpu += used.ru_utime + used.ru_stime
        if pid == job:
            return status, cpu


def end_the_rest() -> float:
    """Kills the processes that the script left behind; returns their CPU seconds."""
    cpu = 0.0
    while children := own_children():
        for pid in children:
            # the process is our child and not waited for: its number can't belong to another process
            os.kill(pid, signal.SIGKILL)
        for pid in children:
            _, _, used = os.wait4(pid, 0)
            cpu += used.ru_utime + used.ru_stime
    return cpu


def own_children() -> list[int]:
    """Returns the pids of living and ended children that were not waited for; none if there is no /proc."""
    me = os.getpid()
    try:
        with open(f"/proc/self/task/{me}/children") as file:
            return [int(pid) for pid in file.read().split()]
    except OSError:  # a kernel without CONFIG_PROC_CHILDREN
        return [
            int(name)
            for name in (os.listdir("/proc") if os.path.isdir("/proc") else [])
            if name.isdecimal() and parent(name) == me
        ]


def parent(pid: str) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, IndexError):
        return 0


def write(folder: str, name: str, text: str) -> None:
    """Writes in one step: the daemon may read at any time."""
    part = os.path.join(folder, f".{name}")
    with open(part, "w") as file:
        file.write(text)
    os.rename(part, os.path.join(folder, name))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
