"""The daemon of one embedded centre: carries out what the queue decides, on local processes, and answers on its socket.

One process, one thread, no waiting in between: a submission starts at once if it fits, an end is noticed by the kernel's
event. Jobs live in sessions of their own and outlast it; after a kill -9 it finds them again by pid and start time, or
by the exit file that their launcher left.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import pwd
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ... import owned
from . import background, faces, processes
from .asking import Answer, Question
from .listing import hosts
from .queue import RUNNING, Job, Node, Spot, decide, left_of
from .settings import Settings, socket_path
from .submission import Submission
from .table import Table

log = logging.getLogger(__name__)
SAMPLING = 10.0  # seconds between looks at the CPU time of running jobs
DAY = 86400.0
BASE = ("HOME", "LANG", "LOGNAME", "PATH", "PYTHONPATH", "SHELL", "TMPDIR", "USER")  # what a job gets if its submitter sent nothing
LARGEST_ENVIRONMENT = 16 << 20  # bytes
LAUNCH_FAILED = 53  # Slurm's exit code where an output file can't be opened


class Daemon:
    """`clock` gives seconds since 1970."""

    def __init__(self, home: Path, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self.home, self.settings, self.now = home, settings, clock
        self.user = _user()
        self.nodes = [
            Node(name, settings.address(number), settings.cores, settings.memory, settings.gpus)
            for number, name in enumerate(settings.node_names(), 1)
        ]
        self.table = Table(home / "jobs.sqlite")
        self.live: dict[int, Job] = {}
        self.census = processes.Census()
        self.mode = "on" if settings.background else "off"
        self.dice = random.Random(settings.seed)
        self._timers: dict[tuple[int, str], asyncio.TimerHandle] = {}
        self._launchers: dict[int, subprocess.Popen[bytes]] = {}
        self._watches: dict[int, int] = {}
        self._due = False
        self._over, self._one_less = asyncio.Event(), asyncio.Event()

    # ---- life

    async def serve(self) -> None:
        """Until SIGTERM (jobs go on) or the verb `shutdown` (jobs are cancelled first)."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._over.set)
        self.table.open()
        self.recover()
        server = await asyncio.start_unix_server(self._connected, path=self._free_socket(), limit=2**24)
        os.chmod(socket_path(self.home), 0o600)
        ticks = [asyncio.create_task(self._every(background.STEP, self._others)), asyncio.create_task(self._every(SAMPLING, self._sample))]
        log.info("%s serves %d nodes of %d cores", self.settings.name, len(self.nodes), self.settings.cores)
        await self._over.wait()
        for tick in ticks:
            tick.cancel()
        server.close()
        socket_path(self.home).unlink(missing_ok=True)
        self.table.close()

    def _free_socket(self) -> str:
        """The socket's path, with its folder private and what a killed daemon left there gone. The lock is ours already."""
        path = socket_path(self.home)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        if path.parent != self.home.resolve():
            state = path.parent.stat()
            if state.st_uid != os.getuid() or state.st_mode & 0o077:
                raise SystemExit(f"{path.parent} is not private to this user; not used.")
        path.unlink(missing_ok=True)
        return str(path)

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
                self._at(job.started_at + job.pretend, job, "end", self._pretended)
            elif processes.exit_of(self.folder(job)) or not processes.alive(job.pid, job.born):
                self._ended(job)
            else:
                self._watch(job)
                self._limit(job)
                if job.ending:
                    self._terminate(job)
        self._soon()

    # ---- what the faces ask (see asking.Controller)

    def running(self) -> Sequence[Job]:
        return [job for job in self.live.values() if job.state == RUNNING]

    def pending(self) -> list[Job]:
        return [job for job in self.live.values() if job.state != RUNNING]

    def queue(self, *, ended: bool) -> Sequence[Job]:
        old = self.table.ended_since(self.now() - self.settings.min_job_age) if ended and self.settings.min_job_age > 0 else []
        return sorted([*old, *self.live.values()], key=lambda job: job.id)

    def jobs(self, ids: Sequence[int]) -> Sequence[Job]:
        return self.table.by_id(ids)

    def since(self, at: float) -> Sequence[Job]:
        return sorted([*self.table.ended_since(at), *self.live.values()], key=lambda job: job.id)

    def submit(self, asked: Submission) -> int:
        job = asked.job
        self._enter(job)
        folder = self.folder(job)
        folder.mkdir(mode=0o700, parents=True)
        _write(folder / "script", asked.script, 0o700)
        _write(folder / "environment.json", json.dumps(asked.environment), 0o600)
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

    # ---- starting

    def _enter(self, job: Job) -> None:
        job.submitted_at = self.now()
        self.live[self.table.add(job)] = job
        self._soon()

    def _soon(self) -> None:
        """Decides once after all that happens in this turn of the loop."""
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
                job.reason, job.starts_at = decision.reasons.get(job.id, "Priority"), decision.starts_at.get(job.id, 0.0)

    def _start(self, job: Job, spots: tuple[Spot, ...]) -> None:
        job.state, job.reason, job.spots, job.started_at = RUNNING, "", spots, self.now()
        if job.pretend:
            self.table.save([job])
            return self._at(job.started_at + job.pretend, job, "end", self._pretended)
        try:
            launcher = processes.launch(self._files(job), job.arguments, self._environment(job))
        except (OSError, ValueError) as error:
            log.warning("job %d could not be started: %s", job.id, error)
            job.code = LAUNCH_FAILED
            return self._finish(job, "FAILED", self.now(), "JobLaunchFailure")
        self._launchers[job.id] = launcher
        job.pid, job.born = launcher.pid, processes.born(launcher.pid)
        self.table.save([job])
        self._watch(job)
        self._limit(job)

    def folder(self, job: Job) -> Path:
        return self.home / "jobs" / str(job.id)

    def _files(self, job: Job) -> processes.Files:
        return processes.Files(
            self.folder(job), job.directory, _file_name(job.output, job), _file_name(job.errors, job) if job.errors else "", job.append
        )

    def _environment(self, job: Job) -> dict[str, str]:
        """What the submitter handed on, and what Slurm tells a job of itself."""
        given = json.loads(owned.read_all(self.folder(job) / "environment.json", LARGEST_ENVIRONMENT))
        names = [spot.node for spot in job.spots]
        number = names[0].removeprefix(self.settings.name)
        facts: dict[str, Any] = {
            "SLURM_JOB_ID": job.id, "SLURM_JOBID": job.id, "SLURM_JOB_NAME": job.name, "SLURM_JOB_PARTITION": job.partition,
            "SLURM_JOB_USER": self.user, "SLURM_JOB_UID": os.getuid(), "SLURM_CLUSTER_NAME": self.settings.name,
            "SLURM_JOB_NODELIST": hosts(names), "SLURM_NODELIST": hosts(names), "SLURM_JOB_NUM_NODES": len(names),
            "SLURM_NNODES": len(names), "SLURMD_NODENAME": names[0], "SLURM_NODEID": 0, "SLURM_PROCID": 0, "SLURM_LOCALID": 0,
            "SLURM_NTASKS": job.tasks, "SLURM_CPUS_PER_TASK": job.cores_per_task, "SLURM_CPUS_ON_NODE": job.need.cores,
            "SLURM_JOB_CPUS_PER_NODE": job.need.cores, "SLURM_MEM_PER_NODE": job.need.memory // 2**20,
            "SLURM_SUBMIT_DIR": job.directory, "ENVIRONMENT": "BATCH", "SCNET_NODE_ADDRESS": self.settings.address(int(number)),
        }  # fmt: skip
        if job.need.gpus:
            mine = ",".join(str(gpu) for gpu in job.spots[0].gpus)
            facts |= {"CUDA_VISIBLE_DEVICES": mine, "SLURM_JOB_GPUS": mine, "SLURM_GPUS_ON_NODE": job.need.gpus}
        return {**given, **self.settings.environment, **{key: str(value) for key, value in facts.items()}}

    def _bare(self) -> dict[str, str]:
        """For a submitter that sends no environment; this centre's commands are first on PATH, so that a session sees its queue."""
        kept = {key: os.environ[key] for key in BASE if key in os.environ}
        return {**kept, "PATH": f"{self.home / 'bin'}{os.pathsep}{kept.get('PATH', os.defpath)}"}

    # ---- running

    def _watch(self, job: Job) -> None:
        """Calls `_ended` at the moment the job's launcher ends, by the kernel's event where there is one."""
        try:
            event = os.pidfd_open(job.pid)
        except ProcessLookupError:
            return self._later(0.0, job, "watch", self._ended)
        except (AttributeError, OSError):  # macOS, or a kernel before 5.3: look often
            return self._later(0.1, job, "watch", self._look)
        self._watches[job.id] = event
        asyncio.get_running_loop().add_reader(event, self._ended, job)

    def _look(self, job: Job) -> None:
        if processes.alive(job.pid, job.born):
            self._later(0.1, job, "watch", self._look)
        else:
            self._ended(job)

    def _limit(self, job: Job) -> None:
        self._at(job.started_at + job.limit, job, "limit", self._out_of_time)

    def _out_of_time(self, job: Job) -> None:
        if not job.ending:
            job.ending = "TIMEOUT"
            self.table.save([job])
            self._terminate(job)

    def _terminate(self, job: Job) -> None:
        """SIGTERM to the job's group now, SIGKILL to all its processes after `kill_wait`."""
        root = processes.job_pid(self.folder(job))
        if not root:  # the launcher has not forked yet
            return self._later(0.01, job, "term", self._terminate)
        self.census.members(job.id, self._root(job))  # before they begin to end and lose their parents
        words = {"TIMEOUT": "DUE TO TIME LIMIT ***"}.get(job.ending, "***")
        self._say(job, f"slurmstepd: error: *** JOB {job.id} ON {job.spots[0].node} CANCELLED AT {time.strftime('%FT%T')} {words}\n")
        processes.tell_group(root, signal.SIGTERM)
        processes.tell_group(root, signal.SIGCONT)
        self._later(self.settings.kill_wait, job, "kill", self._kill)

    def _kill(self, job: Job) -> None:
        processes.kill(self.census.members(job.id, self._root(job)))
        self._later(1.0, job, "kill", self._kill)

    def _say(self, job: Job, line: str) -> None:
        """A line at the end of the job's errors, as slurmstepd writes one."""
        files = self._files(job)
        path = os.path.join(files.directory, files.errors or files.output)
        with contextlib.suppress(OSError), os.fdopen(owned.open_regular(Path(path), os.O_WRONLY | os.O_APPEND), "a") as file:
            file.write(line)

    def _root(self, job: Job) -> processes.Root:
        launcher = job.pid if processes.alive(job.pid, job.born) else 0
        return processes.Root(launcher, processes.job_pid(self.folder(job)), job.started_at)

    # ---- ending

    def _ended(self, job: Job) -> None:
        """The launcher is gone: its exit file says how the job ended; without one it was killed, and the job is lost."""
        if job.ended_at:
            return
        found = processes.exit_of(self.folder(job))
        if found is None:
            self.census.members(job.id, self._root(job))
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
        self.live.pop(job.id, None)
        self.table.save([job])
        for key in [key for key in self._timers if key[0] == job.id]:
            self._timers.pop(key).cancel()
        if (event := self._watches.pop(job.id, None)) is not None:
            asyncio.get_running_loop().remove_reader(event)
            os.close(event)
        shutil.rmtree(self.folder(job), ignore_errors=True)
        self._one_less.set()
        self._soon()

    def _sample(self) -> None:
        """Remembers the CPU time of running jobs: what their own children don't hand up to them would be lost at the end."""
        roots = {job.id: self._root(job) for job in self.running() if not job.pretend}
        if not roots:
            return
        for number, cpu in self.census.take(roots).items():
            self.live[number].cpu = max(self.live[number].cpu, cpu)
        self.table.save([self.live[number] for number in roots])

    # ---- other people's jobs

    def _others(self) -> None:
        others = [job for job in self.live.values() if job.pretend]
        left = left_of(self.nodes, self.running())
        wave = background.Wave(self.settings.background, self.settings.seed)
        if self.mode == "fill":
            jobs = (
                []
                if any(not job.pretend for job in self.pending())
                else background.filling(self.nodes, left, self.settings.partition, self.dice)
            )
        elif self.mode == "on" and not self.pending():
            jobs = background.arrivals(wave, self.nodes, left, others, self.settings.partition, self.now(), self.dice)
        else:
            jobs = []
        for job in jobs:
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

    # ---- the socket

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = json.loads(await asyncio.wait_for(reader.read(), 30))
            said = await self._answer(request)
            writer.write(json.dumps({"code": said.code, "stdout": said.stdout, "stderr": said.stderr}).encode())
            await asyncio.wait_for(writer.drain(), 30)
        except (OSError, TimeoutError, ValueError, KeyError, TypeError) as error:
            log.warning("a connection was dropped: %r", error)
        except Exception:
            log.exception("a question failed")
        finally:
            writer.close()

    async def _answer(self, request: Mapping[str, Any]) -> Answer:
        question = _question(request, self._bare())
        match question.argv:
            case ["shutdown"]:
                await self._cancel_all()
                asyncio.get_running_loop().call_later(0.05, self._over.set)  # after the answer has left
                return Answer(0, "stopped\n")
            case ["background", mode]:
                return self._background(mode)
            case ["ping"]:
                return Answer(0, f"{os.getpid()}\n")
        return faces.answer(question, self)

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

    # ---- timers

    def _at(self, moment: float, job: Job, what: str, do: Callable[[Job], None]) -> None:
        self._later(max(0.0, moment - self.now()), job, what, do)

    def _later(self, seconds: float, job: Job, what: str, do: Callable[[Job], None]) -> None:
        if old := self._timers.pop((job.id, what), None):
            old.cancel()
        self._timers[job.id, what] = asyncio.get_running_loop().call_later(seconds, do, job)


def verdict(job: Job) -> tuple[str, str]:
    """State and reason of a job whose exit is known."""
    if job.ending:
        return job.ending, "TimeLimit" if job.ending == "TIMEOUT" else ""
    if job.signal:
        return "FAILED", f"RaisedSignal:{job.signal}({signal.strsignal(job.signal)})"
    return ("FAILED", "NonZeroExitCode") if job.code else ("COMPLETED", "")


def _question(request: Mapping[str, Any], bare: Mapping[str, str]) -> Question:
    """The question in a request; a leading `env NAME=value...` is added to its environment."""
    argv, environment = [str(word) for word in request["argv"]], dict(request.get("env", bare))
    while argv and (argv[0] == "env" or "=" in argv[0]):
        name, equals, value = argv.pop(0).partition("=")
        if equals:
            environment[name] = value
    return Question(tuple(argv), request.get("stdin"), str(request.get("cwd") or "/tmp"), environment)


def _file_name(pattern: str, job: Job) -> str:
    """The patterns of --output: %j %A %J id, %x name, %u user, %N node, %n %t %s; `%%` is one %."""
    values = {"j": job.id, "A": job.id, "J": job.id, "x": job.name, "u": job.user, "N": job.spots[0].node, "n": 0, "t": 0, "s": "batch"}
    text, place = "", 0
    while place < len(pattern):
        letter = pattern[place + 1 : place + 2]
        if pattern[place] == "%" and (letter in values or letter == "%") and letter:
            text += "%" if letter == "%" else str(values[letter])
            place += 2
        else:
            text += pattern[place]
            place += 1
    return text


def _write(path: Path, text: str, mode: int) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "w", errors="surrogateescape") as file:
        file.write(text)


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def run(home: Path, settings: Settings) -> int:
    """Serves until told to stop; 3 if another daemon serves this home."""
    lock = os.open(home / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        print(f"another daemon serves {home}", file=sys.stderr)
        return 3
    os.umask(0o077)  # the socket, the table, and what jobs write: nobody else's
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    asyncio.run(Daemon(home, settings).serve())
    return 0
