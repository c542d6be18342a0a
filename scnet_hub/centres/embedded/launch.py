"""A job's first process: runs the script in a session of its own, waits, and writes how it ended into the job's folder.

Started as `python -ISE launch.py FOLDER PROGRAM [ARGUMENT...]`; standard library only and few imports, since it stands
before every job. It outlives the daemon, so an end while the daemon is away still has its exit code, time and CPU time.
"""

import os
import signal
import sys
import time


def main(folder: str, argv: list[str]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # only the job is told to end; this process must see how it does
    job = os.fork()
    if job == 0:
        run(argv)
    write(folder, "pid", f"{job}\n")
    _, status, used = os.wait4(job, 0)
    code, killed = (os.WEXITSTATUS(status), 0) if os.WIFEXITED(status) else (0, os.WTERMSIG(status))
    write(folder, "exit", f"{code} {killed} {time.time():.6f} {used.ru_utime + used.ru_stime:.6f}\n")


def run(argv: list[str]) -> None:
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)  # an ignored signal would stay ignored in the program
    try:
        os.execv(argv[0], argv)
    except OSError as error:
        os.write(2, f"slurmstepd: error: execve(): {argv[0]}: {error.strerror}\n".encode())
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)


def write(folder: str, name: str, text: str) -> None:
    """In one step: the daemon may look at any time."""
    part = os.path.join(folder, f".{name}")
    with open(part, "w") as file:
        file.write(text)
    os.rename(part, os.path.join(folder, name))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
