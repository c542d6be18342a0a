"""Runs the tasks of a job step where srun was called: starts them, merges their output by lines, passes on signals,
waits.

Loaded by `client.py` once the daemon has said what to run; standard library only. Each task is a process group of its
own in the job's session, so that a signal to the job reaches the task once, through this program, and the task ends
with the job.
"""

import os
import re
import selectors
import signal
import subprocess
import sys
import threading
from typing import IO, Any

Plan = dict[str, Any]
Target = int | IO[bytes] | None
HANDED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT)
PATIENCE = 2.0  # seconds from SIGTERM to SIGKILL with --kill-on-bad-exit
BLOCK = 65536


class Task:
    def __init__(self, number: int, plan: Plan, common: dict[str, str]) -> None:
        self.number, self.node, self.rank = number, plan["node"], plan["rank"]
        self.environment = {**common, **plan["environment"]}
        self.process: subprocess.Popen[bytes] | None = None
        self.status: int | None = None

    def start(self, argv: list[str], directory: str, entry: int, out: Target, err: Target) -> None:
        try:
            self.process = subprocess.Popen(
                argv, bufsize=0, env=self.environment, cwd=directory, stdin=entry, stdout=out, stderr=err,
                process_group=0,
            )  # fmt: skip
        except OSError as error:
            what = error.filename if error.filename == directory else argv[0]
            say(f"slurmstepd-{self.node}: error: execve(): {what}: {error.strerror}")
            self.status = error.errno or 1

    def over(self) -> bool:
        """Returns whether the task has ended just now."""
        if self.process is not None and self.status is None and self.process.poll() is not None:
            self.status = self.process.returncode
            return True
        return False

    def tell(self, number: int) -> None:
        if self.process is not None and self.status is None:
            try:
                os.killpg(self.process.pid, number)
            except ProcessLookupError:
                pass  # the process has ended and is not waited for yet

    def code(self) -> int:
        status = self.status or 0
        return status if status >= 0 else 128 - status


class Stream:
    """One task's output pipe: whole lines go to `target`, with a label if requested."""

    def __init__(self, pipe: IO[bytes], target: int, label: bytes) -> None:
        self.pipe, self.target, self.label, self.rest = pipe, target, label, b""
        os.set_blocking(pipe.fileno(), False)

    def read(self) -> int:
        """Passes on the available output and returns its length in bytes; 0 at the end, -1 if nothing is available
        now."""
        try:
            data = os.read(self.pipe.fileno(), BLOCK)
        except BlockingIOError:
            return -1
        lines = (self.rest + data).split(b"\n")
        self.rest = lines.pop()
        write(self.target, b"".join(self.label + line + b"\n" for line in lines))
        return len(data)

    def finish(self) -> None:
        """Passes on the last output; does not wait for a process that outlives its task and holds the pipe open."""
        while self.read() > 0:
            pass
        if self.rest:
            write(self.target, self.label + self.rest + b"\n" * bool(self.label))


def write(handle: int, data: bytes) -> None:
    while data:
        data = data[os.write(handle, data) :]


def say(line: str) -> None:
    sys.stdout.flush()
    write(2, f"{line}\n".encode(errors="surrogateescape"))


class Run:
    """One step. `plan` was made by `srun.py` in the daemon."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.name = plan, f"{plan['job']}.{plan['step']}"
        self.tasks = [Task(number, task, plan["environment"]) for number, task in enumerate(plan["tasks"])]
        self.selector = selectors.DefaultSelector()
        self.streams: list[Stream] = []
        self.files: dict[str, int] = {}
        self.ending = False

    def run(self) -> int:
        """Starts all tasks and waits for them; returns the highest of their exit codes."""
        asleep, awake = os.pipe()
        for end in (asleep, awake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(awake)
        for number in (*HANDED_ON, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        self.selector.register(asleep, selectors.EVENT_READ)
        inputs = self.start()
        if inputs:
            threading.Thread(target=broadcast, args=(inputs,), daemon=True).start()
        self.report([task for task in self.tasks if task.status is not None])
        while any(task.status is None for task in self.tasks):
            events = self.selector.select(PATIENCE if self.ending else None)
            for key, _ in events:
                if key.data is not None and key.data.read() == 0:
                    self.selector.unregister(key.fileobj)
            self.hand_on(os.read(asleep, BLOCK) if any(key.fileobj == asleep for key, _ in events) else b"")
            self.report([task for task in self.tasks if task.over()])
            if self.ending and not events:
                self.tell(signal.SIGKILL)
        for stream in self.streams:
            stream.finish()
        if any((task.status or 0) < 0 for task in self.tasks) and not self.plan["quiet"]:
            say(f"srun: Force Terminated StepId={self.name}")
        return max(task.code() for task in self.tasks)

    def start(self) -> list[IO[bytes]]:
        """Starts the tasks and returns the pipes to their standard inputs."""
        plan, inputs = self.plan, []
        single = len(self.tasks) == 1 and not plan["label"]
        entry = subprocess.DEVNULL if same_file(0, os.devnull) else subprocess.PIPE
        width = len(str(len(self.tasks) - 1))
        for task in self.tasks:
            out = self.file(plan["output"], task) or (None if single else subprocess.PIPE)
            err = self.file(plan["errors"] or plan["output"], task) or (None if single else subprocess.PIPE)
            task.start(plan["argv"], plan["directory"], entry, out, err)
            if task.process is None:
                continue
            label = f"{task.number:>{width}}: ".encode() if plan["label"] else b""
            for pipe, target in ((task.process.stdout, 1), (task.process.stderr, 2)):
                if pipe is not None:
                    self.streams.append(Stream(pipe, target, label))
                    self.selector.register(pipe, selectors.EVENT_READ, self.streams[-1])
            if task.process.stdin is not None:
                inputs.append(task.process.stdin)
        return inputs

    def file(self, pattern: str, task: Task) -> int | None:
        """Returns an open file for --output or --error, one for all tasks unless the pattern names tasks; None without
        a pattern."""
        if not pattern:
            return None
        job = self.plan["job"]
        values = {
            "j": job, "A": job, "J": self.name, "s": self.plan["step"], "t": task.number, "n": task.rank,
            "N": task.node, "x": self.plan["name"], "u": self.plan["user"], "%": "%",
        }  # fmt: skip
        name = re.sub("%(.)", lambda match: str(values.get(match[1], match[0])), pattern)
        path = os.path.join(self.plan["directory"], name)
        if path not in self.files:
            self.files[path] = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        return self.files[path]

    def hand_on(self, numbers: bytes) -> None:
        for number in numbers:
            if number in HANDED_ON:
                self.tell(number)

    def tell(self, number: int) -> None:
        for task in self.tasks:
            task.tell(number)

    def report(self, ended: list[Task]) -> None:
        """Reports failed tasks, those of a node and status in one line; ends the step if that was requested."""
        bad: dict[tuple[str, int], list[int]] = {}
        for task in ended:
            if task.status:
                bad.setdefault((task.node, task.status), []).append(task.number)
        for (node, status), numbers in bad.items():
            if not self.plan["quiet"]:
                how = f"Exited with exit code {status}" if status > 0 else signal.strsignal(-status)
                say(f"srun: error: {node}: task{'s' * (len(numbers) > 1)} {ranges(numbers)}: {how}")
        if bad and self.plan["kill"] and not self.ending and any(task.status is None for task in self.tasks):
            say(f"srun: launch/slurm: _step_signal: Terminating StepId={self.name}")
            self.ending = True
            self.tell(signal.SIGTERM)


def ranges(numbers: list[int]) -> str:
    """Returns the numbers in Slurm's notation, such as 0-2,4."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def same_file(handle: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except OSError:  # the input is closed
        return True


def broadcast(inputs: list[IO[bytes]]) -> None:
    """Copies the standard input to every task that still reads it."""
    while inputs:
        data = os.read(0, BLOCK)
        for pipe in list(inputs):
            try:
                write(pipe.fileno(), data)
            except OSError:  # this task no longer reads
                inputs.remove(pipe)
                pipe.close()
        if not data:
            break
    for pipe in inputs:
        pipe.close()


def run(plan: Plan) -> tuple[int, int, float]:
    """Returns the step's exit code, its signal if a signal ended it, and the CPU seconds of its tasks."""
    step = Run(plan)
    code = step.run()
    times = os.times()
    worst = max(step.tasks, key=Task.code).status or 0
    return code, max(0, -worst), times.children_user + times.children_system
