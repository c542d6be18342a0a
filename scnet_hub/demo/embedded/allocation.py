"""srun outside a job: submits a job, connects its streams to the caller's, and waits for its end.

Loaded by `client.py`; standard library only. The streams are FIFOs in a private folder, so that the job's output is not
stored.
"""

import os
import select
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

Ask = Callable[..., dict[str, Any]]
PIPES = "SCNET_SRUN_PIPES"
LOOK = 0.25  # seconds between looks at the job
BLOCK = 65536


def main(argv: list[str], ask: Ask) -> int:
    with tempfile.TemporaryDirectory(prefix="scnet-srun-") as folder:
        outputs = [fifo(folder, "out", os.O_RDONLY), fifo(folder, "err", os.O_RDONLY)]
        entry = os.path.join(folder, "in")
        os.mkfifo(entry, 0o600)
        answer = ask(argv, {PIPES: folder})
        sys.stdout.write(answer["stdout"])
        sys.stdout.flush()
        sys.stderr.write(answer["stderr"])
        if not answer.get("run"):
            return int(answer["code"])
        job = str(answer["run"]["job"])
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, cancelling(ask, job))
        threading.Thread(target=feed, args=(entry,), daemon=True).start()
        return follow(ask, job, outputs)


def fifo(folder: str, name: str, mode: int) -> int:
    path = Path(folder) / name
    os.mkfifo(path, 0o600)
    return os.open(path, mode | os.O_NONBLOCK)


def cancelling(ask: Ask, job: str) -> Callable[[int, FrameType | None], None]:
    def cancel(number: int, frame: FrameType | None) -> None:
        ask(["scancel", job])

    return cancel


def feed(path: str) -> None:
    """Copies the standard input to the job, from the moment when the job reads."""
    entry = os.open(path, os.O_WRONLY)
    while data := os.read(0, BLOCK):
        while data:
            data = data[os.write(entry, data) :]
    os.close(entry)


def follow(ask: Ask, job: str, outputs: list[int]) -> int:
    """Passes on the job's output until the job has ended, and returns its exit code. Waits for a daemon that is
    away."""
    targets = {outputs[0]: 1, outputs[1]: 2}
    waited = False
    while True:
        hand_on(targets, LOOK)
        try:
            state, code = (
                ask(["sacct", "-X", "-n", "-P", "-j", job, "-o", "State,ExitCode"])["stdout"].strip().split("|")
            )
        except (OSError, ValueError):
            continue
        if state == "PENDING" and not waited:
            say(f"srun: job {job} queued and waiting for resources")
        elif state != "PENDING" and waited:
            say(f"srun: job {job} has been allocated resources")
        waited = state == "PENDING"
        if state not in ("PENDING", "RUNNING"):
            hand_on(targets, 0)
            return ending(job, state, code)


def say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def hand_on(targets: dict[int, int], seconds: float) -> None:
    """Passes on the job's output of that many seconds."""
    if not targets:
        time.sleep(seconds)
    deadline = time.monotonic() + seconds
    poll = select.poll()
    for source in targets:
        poll.register(source, select.POLLIN)
    while True:
        events = poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
        for source, event in events:
            data = os.read(source, BLOCK) if event & select.POLLIN else b""
            if not data:  # the job has closed it
                poll.unregister(source)
                targets.pop(source)
            while data:
                data = data[os.write(targets[source], data) :]
        if not events or not targets:
            return


def ending(job: str, state: str, code: str) -> int:
    number, killed_by = (int(part) for part in code.split(":"))
    if state in ("COMPLETED", "FAILED"):
        return number or (128 + killed_by if killed_by else 0)
    say(f"srun: error: job {job} ended: {state}")
    return number or 1
