"""The notebook's functions, on a client that the whole kernel shares: centres, place, sessions, balance, usage, stop,
run, jobs.

Each function makes one call of docs/reference/rest.md and returns its JSON as lists and dicts, or batch jobs as `Job`;
refusals are raised as in `errors.py`.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .rest import shared_client

if TYPE_CHECKING:
    from .batch_jobs import Job

Json = dict[str, Any]


def centres() -> list[Json]:
    """Returns the member centres: state, free cores and GPUs, queue, prices, age of the facts."""
    return shared_client().centres()


def place(**options: Any) -> Json:
    """Returns where a session with these options (cores=, gpus=, walltime=, ...) would start now, at what price and
    why. Starts nothing."""
    return shared_client().place(**options)


def sessions(*, all: bool = False) -> list[Json]:
    """Returns your live sessions; with `all`, the last 50 ended sessions too."""
    return shared_client().sessions(all=all)


def balance() -> list[Json]:
    """Returns your projects' allocations: settled, in flight, held, available (credits), and quotas."""
    return shared_client().balance()


def usage(by: str = "day", *, project: str = "", since: str = "", until: str = "") -> Json:
    """Returns your usage, by default since the start of this month: by "day", "centre", "session" (each charge with its
    formula) or "person" (of a `project` that you lead)."""
    return shared_client().usage(by=by, project=project, since=since, until=until)


def stop(session_id: str) -> Json:
    """Asks the session's centre to stop the session, which is "stopping" until the centre confirms."""
    return shared_client().stop(session_id)


def run(
    *argv: Any,
    files: Iterable[str | os.PathLike[str]] | None = (),
    env: Mapping[str, str] | None = None,
    name: str = "",
    **options: Any,
) -> Job:
    """Starts a batch job on the best place: `scnet.run("python train.py", cores=4, walltime="2h")`. The command may
    also be a list of words, or single words: `scnet.run("python", "train.py")`. No shell is started. The program and
    `files` are sent along if they are in this folder (None: no files are sent); other options are those of `place`.
    Continue with `.wait()`, `.log()`, `.cancel()` of the returned job."""
    from .batch_jobs import start

    job = start(shared_client(), argv[0] if len(argv) == 1 else argv, files=files, env=env, name=name, **options)
    if not job.new:
        warnings.warn(
            f"A job named {name} is already live ({job.id}). That job is returned; no new job was started.",
            stacklevel=2,
        )
    if job.left:
        warnings.warn(
            f"Files that exist here but were not sent: {', '.join(job.left)}. Name them in `files` to send them.",
            stacklevel=2,
        )
    return job


def jobs(*, all: bool = False) -> list[Job]:
    """Returns your live batch jobs; with `all`, also those among your last 50 ended sessions."""
    from .batch_jobs import Job

    client = shared_client()
    return [Job(client, one) for one in client.sessions(all=all) if one["kind"] == "batch"]
