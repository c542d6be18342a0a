"""The daemon of one embedded centre: carries out what the queue decides, on local processes, and answers on its socket.

One process, one thread, no waiting in between: a submission starts at once if it fits, an end is noticed by the
kernel's event. Jobs live in sessions of their own and outlast it; after a kill -9 it finds them again by pid and start
time, or by the exit file that their launcher left.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from . import background_load, environment, processes, slurm_commands
from .job_events import Ends, Timers, verdict
from .job_files import JobFiles
from .job_table import Table
from .owner import owner_here
from .request import Answer, Question
from .sbatch_options import Submission
from .scheduler import RUNNING, Job, Node, Spot, Step, decide, left_of
from .serving import Door, locked
from .settings import Settings

log = logging.getLogger(__name__)
SAMPLING = 10.0  # seconds between looks at the CPU time of running jobs
DAY = 86400.0
KEPT_STEPS = 100  # of each job; a script may call srun in a loop
LAUNCH_FAILED = 53  # Slurm's exit code where an output file can't be opened


class Daemon:
    """`clock` gives seconds since 1970."""

    def __init__(self, home: Path, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self.home, self.settings, self.now = home, settings, clock
        self.commands = home / "bin"
        self.files = JobFiles(home)
        self.owner = owner_here()
        self.nodes = [
            Node(name, settings.address(number), settings.cores, settings.memory, settings.gpus)
            for number, name in enumerate(settings.node_names(), 1)
        ]
        self.table = Table(home / "jobs.sqlite")
        self.live: dict[int, Job] = {}
        self.census = processes.Census()
        self.mode = "on" if settings.background else "off"
        self.dice = random.Random(settings.seed)
        self.timers = Timers(clock)
        self.ends = Ends(self.timers)
        self._launchers: dict[int, subprocess.Popen[bytes]] = {}
        self._due = False
        self._over, self._one_less = asyncio.Event(), asyncio.Event()

    # ---- life

    async def serve(self) -> None:
        """Serves until SIGTERM (jobs continue) or the verb `shutdown` (jobs are cancelled first)."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._over.set)
        self.table.open()
        self.recover()
        door = Door(self.home, self._answer, lambda: environment.bare(self.commands))
        await door.open()
        ticks = [
            asyncio.create_task(self._every(background_load.STEP, self._others)),
            asyncio.create_task(self._every(SAMPLING, self._sample)),
        ]
        log.info("%s serves %d nodes of %d cores", self.settings.name, len(self.nodes), self.settings.cores)
        await self._over.wait()
        for tick in ticks:
            tick.cancel()
        door.close()
        self.table.close()

    async def _every(self, seconds: float, do: Callable[[], None]) -> None:
        while True:
            try:
                do()
            except Exception:
                log.exception("%s failed; it is tried again", do.__name__)
            await asyncio.sleep(seconds)

    def recover(self) -> None:
        """Takes up every job of an earlier daemon: ended meanwhile, still running, lost, or waiting."""
        self.table.prune(pretended_before=self.now() - DAY, before=self.now() - 90 * DAY)
        for job in self.table.live():
            self.live[job.id] = job
            if job.state != RUNNING:
                continue
            if job.pretend:
                self.timers.at(job.started_at + job.pretend, job, "end", self._pretended)
            elif processes.exit_of(self.files.folder(job)) or not processes.alive(job.pid, job.born):
                self._ended(job)
            else:
                self.ends.watch(job, self._ended)
                self._limit(job)
                if job.ending:
                    self._terminate(job)
        self._soon()

    # ---- what the Slurm commands ask (see request.Controller)

    def running(self) -> Sequence[Job]:
        return [job for job in self.live.values() if job.state == RUNNING]

    def pending(self) -> list[Job]:
        return [job for job in self.live.values() if job.state != RUNNING]

    def queue(self, *, ended: bool) -> Sequence[Job]:
        old = (
            self.table.ended_since(self.now() - self.settings.min_job_age)
            if ended and self.settings.min_job_age > 0
            else []
        )
        return sorted([*old, *self.live.values()], key=lambda job: job.id)

    def jobs(self, ids: Sequence[int]) -> Sequence[Job]:
        return self.table.by_id(ids)

    def since(self, at: float) -> Sequence[Job]:
        return sorted([*self.table.ended_since(at), *self.live.values()], key=lambda job: job.id)

    def submit(self, asked: Submission) -> int:
        job = asked.job
        self._enter(job)
        self.files.prepare(job, asked)
        return job.id

    def cancel(self, job: Job) -> None:
        job = self.live.get(job.id, job)
        if job.ended_at or job.ending:
            return
        if job.state != RUNNING or job.pretend:
            return self._finish(job, "CANCELLED", self.now())
        job.ending = "CANCELLED"
        self.table.save([job])
        self._terminate(job)

    def begin_step(self, job: Job, step: Step) -> Step:
        step.id, step.started_at = job.steps[-1].id + 1 if job.steps else 0, self.now()
        job.steps = (*job.steps[-KEPT_STEPS:], step)
        self.table.save([job])
        return step

    def _end_step(self, number: int, step: int, code: int, killed_by: int, cpu: float) -> None:
        """Ends a step. A step that is reported after its job's end, or twice, keeps its first end."""
        job = self.live.get(number)
        if job is None:
            return
        for found in job.steps:
            if found.id == step and not found.ended_at:
                found.ended_at, found.code, found.signal, found.cpu = (
                    self.now(),
                    0 if killed_by else code,
                    killed_by,
                    cpu,
                )
                self.table.save([job])

    # ---- starting

    def _enter(self, job: Job) -> None:
        job.submitted_at = self.now()
        self.live[self.table.add(job)] = job
        self._soon()

    def _soon(self) -> None:
        """Schedules one decision after everything that happens in this turn of the loop."""
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._decide)

    def _decide(self) -> None:
        self._due = False
        pending = self.pending()
        decision = decide(self.nodes, self.running(), pending, self.now())
        for job in pending:
            if job.id in decision.starts:
                self._start(job, decision.starts[job.id])
            else:
                job.reason, job.starts_at = (
                    decision.reasons.get(job.id, "Priority"),
                    decision.starts_at.get(job.id, 0.0),
                )

    def _start(self, job: Job, spots: tuple[Spot, ...]) -> None:
        job.state, job.reason, job.spots, job.started_at = RUNNING, "", spots, self.now()
        if job.pretend:
            self.table.save([job])
            return self.timers.at(job.started_at + job.pretend, job, "end", self._pretended)
        try:
            given = self.files.environment(job)
            nodes = {node.name: node for node in self.nodes}
            found = environment.of_job(job, given, self.settings, nodes, self.commands)
            launcher = processes.launch(self.files.of(job), job.arguments, found)
        except (OSError, ValueError) as error:
            log.warning("job %d could not be started: %s", job.id, error)
            job.code = LAUNCH_FAILED
            return self._finish(job, "FAILED", self.now(), "JobLaunchFailure")
        self._launchers[job.id] = launcher
        job.pid, job.born = launcher.pid, processes.born(launcher.pid)
        self.table.save([job])
        self.ends.watch(job, self._ended)
        self._limit(job)

    # ---- running

    def _limit(self, job: Job) -> None:
        self.timers.at(job.started_at + job.limit, job, "limit", self._out_of_time)

    def _out_of_time(self, job: Job) -> None:
        if not job.ending:
            job.ending = "TIMEOUT"
            self.table.save([job])
            self._terminate(job)

    def _terminate(self, job: Job) -> None:
        """Sends SIGTERM to the job's group now, and SIGKILL to all its processes after `kill_wait`."""
        root = processes.job_pid(self.files.folder(job))
        if not root:  # the launcher has not forked yet
            return self.timers.later(0.01, job, "term", self._terminate)
        self.census.members(job.id, self.files.root(job))  # before they begin to end and lose their parents
        words = {"TIMEOUT": "DUE TO TIME LIMIT ***"}.get(job.ending, "***")
        self.files.say(
            job,
            f"slurmstepd: error: *** JOB {job.id} ON {job.spots[0].node} CANCELLED AT {time.strftime('%FT%T')} "
            f"{words}\n",
        )
        processes.tell_group(root, signal.SIGTERM)
        processes.tell_group(root, signal.SIGCONT)
        self.timers.later(self.settings.kill_wait, job, "kill", self._kill)

    def _kill(self, job: Job) -> None:
        processes.kill(self.census.members(job.id, self.files.root(job)))
        self.timers.later(1.0, job, "kill", self._kill)

    # ---- ending

    def _ended(self, job: Job) -> None:
        """Records a job's end when its launcher is gone: its exit file says how the job ended; without the file the
        launcher was killed, and the job is lost."""
        if job.ended_at:
            return
        found = processes.exit_of(self.files.folder(job))
        if found is None:
            self.census.members(job.id, self.files.root(job))
        processes.kill(self.census.forget(job.id))
        if launcher := self._launchers.pop(job.id, None):
            launcher.poll()
        if found is None:
            return self._finish(job, job.ending or "NODE_FAIL", self.now(), "NodeDown" if not job.ending else "")
        job.code, job.signal, job.cpu = found.code, found.signal, max(found.cpu, job.cpu)
        state, reason = verdict(job)
        self._finish(job, state, found.at, reason)

    def _pretended(self, job: Job) -> None:
        self._finish(job, "COMPLETED", self.now())

    def _finish(self, job: Job, state: str, at: float, reason: str = "") -> None:
        job.state, job.reason, job.ended_at, job.ending, job.starts_at = state, reason, max(at, job.started_at), "", 0.0
        for step in job.steps:
            if not step.ended_at:
                step.ended_at, step.signal = job.ended_at, signal.SIGKILL  # its srun was killed with the job
        self.live.pop(job.id, None)
        self.table.save([job])
        self.timers.forget(job)
        self.ends.forget(job)
        shutil.rmtree(self.files.folder(job), ignore_errors=True)
        self._one_less.set()
        self._soon()

    def _sample(self) -> None:
        """Records the CPU time of running jobs: time that their own children don't report to them would be lost at the
        end."""
        roots = {job.id: self.files.root(job) for job in self.running() if not job.pretend}
        if not roots:
            return
        for number, cpu in self.census.take(roots).items():
            self.live[number].cpu = max(self.live[number].cpu, cpu)
        self.table.save([self.live[number] for number in roots])

    # ---- other people's jobs

    def _others(self) -> None:
        left, live = left_of(self.nodes, self.running()), list(self.live.values())
        for job in background_load.coming(self.mode, self.settings, self.nodes, left, live, self.now(), self.dice):
            self._enter(job)

    def _background(self, mode: str) -> Answer:
        if mode not in ("on", "off", "fill"):
            return Answer(1, "", f"background: error: {mode!r} is not on, off or fill\n")
        self.mode = mode
        if mode == "off":
            for job in [job for job in self.live.values() if job.pretend]:
                self._finish(job, "CANCELLED", self.now())
        self._others()
        if self._due:
            self._decide()
        return Answer(0, f"{mode}\n")

    # ---- answering

    async def _answer(self, question: Question) -> Answer:
        match question.argv:
            case ["shutdown"]:
                await self._cancel_all()
                asyncio.get_running_loop().call_later(0.05, self._over.set)  # after the answer has left
                return Answer(0, "stopped\n")
            case ["background", mode]:
                return self._background(mode)
            case ["ping"]:
                return Answer(0, f"{os.getpid()}\n")
            case ["step-end", number, *facts] if len(facts) == 4:
                step, code, killed_by, cpu = facts
                self._end_step(int(number), int(step), int(code), int(killed_by), float(cpu))
                return Answer(0)
        return slurm_commands.answer(question, self)

    async def _cancel_all(self) -> None:
        self.mode = "off"
        for job in list(self.live.values()):
            self.cancel(job)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._empty(), self.settings.kill_wait + 3)

    async def _empty(self) -> None:
        while self.live:
            self._one_less.clear()
            await self._one_less.wait()


def run(home: Path, settings: Settings) -> int:
    """Serves until told to stop; 3 if another daemon serves this home."""
    if not locked(home):
        return 3
    os.umask(0o077)  # the socket, the table, and what jobs write: only their owner's
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    asyncio.run(Daemon(home, settings).serve())
    return 0
