"""The commands in an embedded centre's `bin`: sends argv, input, folder and environment to the centre's socket, and
prints the answer.

Started as `python -ISE client.py SOCKET COMMAND [ARGUMENT...]`; standard library only, few imports: a command takes
about as long as the interpreter's start. The client decides nothing; `slurm_commands.py` in the daemon reads the
arguments. If the daemon does not answer, each command fails with the message of Slurm's command, so a stock tool knows
that the state is unknown.
"""

import json
import os
import socket
import sys
import time
from contextlib import suppress
from typing import Any

VERSION = "slurm-wlm 22.05.8"
PASSED_ON = ("SLURM_JOB_NODELIST", "SLURM_TIME_FORMAT", "TZ")
# seconds that srun waits in a job for a daemon that is being restarted, as long as Slurm's MessageTimeout
RESTART = 10.0
AWAY = "Unable to contact slurm controller (connect failure)"
HUNG = "Socket timed out on send/recv operation"
DOWN = """\
Slurmctld(primary) at localhost is DOWN
*****************************************
** RESTORE SLURMCTLD DAEMON TO SERVICE **
*****************************************
"""
# The text before AWAY or HUNG, and the exit code; for sacct slurmdbd is missing.
COMPLAINTS = {
    "sbatch": ("sbatch: error: Batch job submission failed: ", 1),
    "scancel": ("scancel: error: Kill job error on job id {job}: ", 8),
    "sinfo": ("slurm_load_partitions: ", 1),
    "srun": ("srun: error: Unable to allocate resources: ", 1),
}
NO_ACCOUNTING = """\
sacct: error: slurm_persist_conn_open_without_init: failed to open persistent connection to host:localhost:6819: Connection refused
sacct: error: Sending PersistInit msg: Connection refused
sacct: error: Problem talking to the database: Connection refused
"""


def main(path: str, argv: list[str]) -> int:
    if argv[1:] in (["--version"], ["-V"]):
        sys.stdout.write(f"{VERSION}\n")
        return 0
    try:
        if argv[0] == "srun" and "SLURM_JOB_ID" not in os.environ:
            return int(beside("allocation.py")["main"](argv, lambda *words: question(path, *words)))
        answer = question(path, argv)
    except (OSError, ValueError) as error:
        return away(argv, HUNG if isinstance(error, TimeoutError) else AWAY)
    show(answer)
    return step(path, answer["run"]) if answer.get("run") else int(answer["code"])


def question(path: str, argv: list[str], more: dict[str, str] | None = None) -> dict[str, Any]:
    """Returns the daemon's answer. Raises OSError or ValueError if there is no answer."""
    environment = (
        dict(os.environ)
        if argv[0] in ("sbatch", "srun")
        else {key: os.environ[key] for key in PASSED_ON if key in os.environ}
    )
    request = {"argv": argv, "stdin": None, "cwd": folder(), "env": {**environment, **(more or {})}}
    patience = RESTART if "SLURM_JOB_ID" in environment and argv[0] == "srun" else 0.0
    answer: dict[str, Any] = json.loads(ask(path, json.dumps(request).encode(), patience))
    if answer["code"] is None:  # the script comes from the input; not read before, because the input may never end
        request["stdin"] = sys.stdin.buffer.read().decode(errors="surrogateescape")
        answer = json.loads(ask(path, json.dumps(request).encode()))
    return answer


def show(answer: dict[str, Any]) -> None:
    sys.stdout.write(answer["stdout"])
    sys.stdout.flush()
    sys.stderr.write(answer["stderr"])
    sys.stderr.flush()


def step(path: str, run: dict[str, Any]) -> int:
    """Runs the tasks of a step here, and reports how it ended. If the daemon is away then, it closes the step with the
    job."""
    code, killed_by, cpu = beside("tasks.py")["run"](run)
    with suppress(OSError, ValueError):
        question(path, ["step-end", str(run["job"]), str(run["step"]), str(code), str(killed_by), f"{cpu:.6f}"])
    return int(code)


def beside(name: str) -> dict[str, Any]:
    """Loads a program of this folder, only when it is needed. Not on sys.path: this folder has a module `queue`."""
    from runpy import run_path

    return run_path(os.path.join(os.path.dirname(os.path.abspath(__file__)), name))


def folder() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:  # the folder has been deleted
        return "/"


def away(argv: list[str], why: str) -> int:
    """Prints the message of Slurm's command for a daemon that does not answer; returns the exit code."""
    if argv == ["scontrol", "ping"]:
        sys.stdout.write(DOWN)
        return 1
    if argv[0] == "sacct":
        sys.stderr.write(NO_ACCOUNTING)
        return 1
    words, code = COMPLAINTS.get(argv[0], ("slurm_load_jobs error: ", 1))
    job = next((word for word in argv[1:] if word.isdecimal()), "0")
    sys.stderr.write(f"{words.format(job=job)}{why}\n")
    return code


def ask(path: str, request: bytes, patience: float = 0.0) -> bytes:
    """Returns the answer to one question; waits up to `patience` seconds for a daemon that is away."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connect(connection, path, patience)
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        pieces = []
        while piece := connection.recv(65536):
            pieces.append(piece)
        return b"".join(pieces)


def connect(connection: socket.socket, path: str, patience: float) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            return connection.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
