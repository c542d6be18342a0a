"""The files of an embedded centre's jobs: the folder of each with its script and environment, and what it writes."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from ...adapters import owned_files
from . import environment, processes
from .sbatch_options import Submission
from .scheduler import Job

LARGEST_ENVIRONMENT = 16 << 20  # bytes


class JobFiles:
    """`home` is the centre's."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def prepare(self, job: Job, asked: Submission) -> None:
        folder = self.folder(job)
        folder.mkdir(mode=0o700, parents=True)
        _write(folder / "script", asked.script, 0o700)
        _write(folder / "environment.json", json.dumps(asked.environment), 0o600)

    def environment(self, job: Job) -> dict[str, str]:
        """Returns the environment that the job was submitted with."""
        found: dict[str, str] = json.loads(
            owned_files.read_all(self.folder(job) / "environment.json", LARGEST_ENVIRONMENT)
        )
        return found

    def folder(self, job: Job) -> Path:
        return self.home / "jobs" / str(job.id)

    def of(self, job: Job) -> processes.Files:
        errors = environment.file_name(job.errors, job) if job.errors else ""
        return processes.Files(
            self.folder(job), job.directory, environment.file_name(job.output, job), errors, job.append
        )

    def say(self, job: Job, line: str) -> None:
        """Adds a line at the end of the job's errors, in slurmstepd's form."""
        files = self.of(job)
        path = os.path.join(files.directory, files.errors or files.output)
        with (
            contextlib.suppress(OSError),
            os.fdopen(owned_files.open_regular(Path(path), os.O_WRONLY | os.O_APPEND), "a") as file,
        ):
            file.write(line)

    def root(self, job: Job) -> processes.Root:
        launcher = job.pid if processes.alive(job.pid, job.born) else 0
        return processes.Root(launcher, processes.job_pid(self.folder(job)), job.started_at)


def _write(path: Path, text: str, mode: int) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "w", errors="surrogateescape") as file:
        file.write(text)
