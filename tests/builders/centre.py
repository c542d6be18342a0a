"""A centre in memory: it answers Slurm's commands as the embedded centre does, and its jobs are rows and coroutines.

The commands' words, the queue's rules and accounting are the embedded centre's own code; no process, no socket and no
file is behind them. What a job does is a `Program`. `tests/unit/conformance/test_memory_centre.py` runs the conformance
suite on it.
"""

from __future__ import annotations

import asyncio
import re
import shlex
import signal
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from scnet_hub.adapters.centre import Centre
from scnet_hub.demo.embedded import Settings, slurm_commands
from scnet_hub.demo.embedded.environment import file_name
from scnet_hub.demo.embedded.formatting import Owner
from scnet_hub.demo.embedded.request import Question
from scnet_hub.demo.embedded.sbatch_options import Submission
from scnet_hub.demo.embedded.scheduler import RUNNING, Job, Node, Step, decide
from scnet_hub.domain.commands import Command, Completed
from scnet_hub.domain.dialects.dialect import dialect
from scnet_hub.domain.standard.centre import CentreSpec
from scnet_hub.domain.standard.centre_writer import CentrePage
from scnet_hub.errors import SpecError, Unreachable

OWNER = Owner("scnet", 1000, "scnet", 1000)
NOT_FOUND = 127


@dataclass(frozen=True, slots=True)
class Run:
    """A job that runs: its words, and what it writes."""

    centre: MemoryCentre
    job: Job
    argv: Sequence[str]
    environment: dict[str, str] = field(default_factory=dict)

    def say(self, text: str) -> None:
        """More of its output."""
        self.centre.write(self.centre.output_of(self.job), text.encode(), more=True)


@dataclass(frozen=True, slots=True)
class Program:
    """What a job does: `work` returns its exit code, and is cancelled where the job is; `shell` is the same for a real
    one."""

    work: Callable[[Run], Awaitable[int]]
    shell: str = ""


async def _sleep(run: Run) -> int:
    await asyncio.sleep(float(run.argv[1]))
    return 0


async def _stay(run: Run) -> int:
    return await asyncio.get_running_loop().create_future()


def exits(code: int, said: str = "") -> Program:
    """Ends at once, with that last line of its output."""

    async def exit(run: Run) -> int:
        run.say(f"{said}\n" if said else "")
        return code

    return Program(exit, f"echo {shlex.quote(said)} >&2; exit {code}")


sleeps = Program(_sleep)
stays = Program(_stay, "exec sleep 300")  # until it is stopped or out of time


class MemoryCentre:
    """`programs` are by the name of their file: what a job's first word runs. All of it is gone with `forget`."""

    def __init__(self, settings: Settings, clock: Callable[[], datetime]) -> None:
        self.settings, self.clock, self.owner = settings, clock, OWNER
        self.nodes = [
            Node(name, settings.address(number), settings.cores, settings.memory, settings.gpus)
            for number, name in enumerate(settings.node_names(), 1)
        ]
        self.programs: dict[str, Program] = {"sleep": sleeps, "true": exits(0)}
        self.files: dict[str, bytes] = {}
        self.away = False
        self._jobs: dict[int, Job] = {}
        self._runs: dict[int, Run] = {}
        self._tasks: dict[int, asyncio.Task[int]] = {}
        self._limits: dict[int, asyncio.TimerHandle] = {}
        self._due = False

    def page(self, **page: Any) -> str:
        """Its `centre.toml`; `page` as for `CentrePage`."""
        of = self.settings
        partition = {
            "name": of.partition, "nodes": of.nodes, "cores": of.cores, "memory": of.memory, "gpus": of.gpus,
            "gpu_model": of.gpu_model, "max_walltime": of.max_walltime,
        }  # fmt: skip
        usual = {"title": of.name.title(), "python": "/usr/bin/python3", "directory": f"/home/{of.name}"}
        return CentrePage(
            id=of.name, transport={"kind": "embedded", "socket": "/nowhere"}, partition=partition, host=of.address(1),
            memory_per_core=of.memory // of.cores, **{**usual, **page},
        ).text()  # fmt: skip

    def ask(self, *words: str) -> str:
        """What one of Slurm's commands prints. Raises SpecError where it fails."""
        done = self.answer(Command(words))
        if done.code:
            raise SpecError(done.stderr.strip())
        return done.stdout

    def answer(self, command: Command) -> Completed:
        argv, environment = list(command.argv), {}
        while argv and (argv[0] == "env" or "=" in argv[0]):
            name, equals, value = argv.pop(0).partition("=")
            if equals:
                environment[name] = value
        said = slurm_commands.answer(
            Question(tuple(argv), command.stdin.decode(errors="surrogateescape"), "/tmp", environment), self
        )
        assert said.code is not None
        return Completed(command, said.code, said.stdout, said.stderr)

    def forget(self) -> None:
        """Loses all that it knew; its jobs are gone."""
        for task in self._tasks.values():
            task.cancel()
        for timer in self._limits.values():
            timer.cancel()
        for known in (self._jobs, self._runs, self._tasks, self._limits):
            known.clear()

    def write(self, path: str, data: bytes, *, more: bool = False) -> None:
        self.files[path] = (self.files.get(path, b"") if more else b"") + data

    def output_of(self, job: Job) -> str:
        return str(Path(job.directory) / file_name(job.output, job))

    # ---- what the commands ask (see `request.Controller`)

    def now(self) -> float:
        return self.clock().timestamp()

    def running(self) -> Sequence[Job]:
        return [job for job in self._live() if job.state == RUNNING]

    def queue(self, *, ended: bool) -> Sequence[Job]:
        least = self.now() - self.settings.min_job_age
        lately = self.settings.min_job_age > 0 and ended
        return [job for job in self._jobs.values() if not job.ended_at or (lately and job.ended_at > least)]

    def jobs(self, ids: Sequence[int]) -> Sequence[Job]:
        return [self._jobs[number] for number in sorted(set(ids)) if number in self._jobs]

    def since(self, at: float) -> Sequence[Job]:
        return [job for job in self._jobs.values() if not job.ended_at or job.ended_at > at]

    def submit(self, asked: Submission) -> int:
        job = asked.job
        job.id, job.submitted_at = max(self._jobs, default=0) + 1, self.now()
        words = asked.script.strip().splitlines()[-1]
        self._jobs[job.id] = job
        self._runs[job.id] = Run(self, job, shlex.split(re.sub(r"^exec ", "", words)), asked.environment)
        self._soon()
        return job.id

    def cancel(self, job: Job) -> None:
        self._end(job, "CANCELLED")

    def begin_step(self, job: Job, step: Step) -> Step:
        raise NotImplementedError("a step runs where srun was called, and there is no such place")

    # ---- the queue

    def _live(self) -> list[Job]:
        return [job for job in self._jobs.values() if not job.ended_at]

    def _soon(self) -> None:
        """Decides once after all that happens in this turn of the loop."""
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._decide)

    def _decide(self) -> None:
        self._due = False
        pending = [job for job in self._live() if job.state != RUNNING]
        decision = decide(self.nodes, self.running(), pending, self.now())
        for job in pending:
            if job.id in decision.starts:
                job.state, job.reason, job.spots, job.started_at = RUNNING, "", decision.starts[job.id], self.now()
                self._start(job)
            else:
                job.reason, job.starts_at = (
                    decision.reasons.get(job.id, "Priority"),
                    decision.starts_at.get(job.id, 0.0),
                )

    def _start(self, job: Job) -> None:
        run, loop = self._runs[job.id], asyncio.get_running_loop()
        self.write(self.output_of(job), b"")
        program = self.programs.get(Path(run.argv[0]).name, exits(NOT_FOUND, f"{run.argv[0]}: command not found"))
        task = self._tasks[job.id] = loop.create_task(self._run(program, run))
        task.add_done_callback(lambda done: self._over(job, done))
        self._limits[job.id] = loop.call_later(job.limit, self._end, job, "TIMEOUT", "TimeLimit")

    async def _run(self, program: Program, run: Run) -> int:
        return await program.work(run)

    def _over(self, job: Job, task: asyncio.Task[int]) -> None:
        if task.cancelled():
            return
        job.code = task.result()
        self._end(job, "FAILED" if job.code else "COMPLETED", "NonZeroExitCode" if job.code else "")

    def _end(self, job: Job, state: str, reason: str = "") -> None:
        """As `state`, unless it is over already; a program that runs is cancelled."""
        if job.ended_at or job.id not in self._jobs:
            return
        if job.state == RUNNING and state in ("CANCELLED", "TIMEOUT"):
            job.signal = signal.SIGTERM
        job.state, job.reason, job.ended_at, job.starts_at = state, reason, self.now(), 0.0
        if timer := self._limits.pop(job.id, None):
            timer.cancel()
        if task := self._tasks.pop(job.id, None):
            task.cancel()
        self._soon()


class MemoryTransport:
    """The way to a `MemoryCentre`: as quick as a call."""

    def __init__(self, centre: MemoryCentre) -> None:
        self.centre = centre

    async def run(self, command: Command, *, account: str = "", timeout: float = 30) -> Completed:
        if self.centre.away:
            raise Unreachable(f"{self.centre.settings.name} is away.")
        return self.centre.answer(command)

    async def put(self, path: str, data: bytes, *, account: str = "", mode: int = 0o600) -> None:
        self.centre.write(path, data)

    async def tail(self, path: str, *, account: str = "", size: int = 4000) -> str:
        return self.centre.files.get(path, b"")[-size:].decode(errors="replace")

    def stuck(self) -> float:
        return 0.0

    async def forward(self, host: str, port: int) -> tuple[str, int]:
        return host, port

    async def unforward(self, host: str, port: int) -> None:
        """Every address is direct."""

    async def keep(self, wanted: Collection[tuple[str, int]]) -> None:
        """Every address is direct."""

    async def hub_url(self) -> str:
        return ""

    async def close(self) -> None:
        """Nothing is open."""

    async def end(self) -> None:
        """Nothing outlives this process."""


def seam(centre: MemoryCentre, spec: CentreSpec) -> Centre:
    """What the broker asks: the real `Centre` and dialect before the one in memory."""
    words = dialect(spec.dialect, accounting=spec.accounting, partitions=[one.name for one in spec.partition])
    return Centre(spec, words, MemoryTransport(centre), centre.clock)
