"""sbatch's words: options and `#SBATCH` lines of a script → a `Job`, or a complaint in Slurm's own words.

Pure, with clock-free defaults in `Where`. The options are those that our dialect, stock batchspawner and stock
dask-jobqueue use, and closely related options; any other option is refused as Slurm refuses an unknown option, never
ignored.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .command_options import Complaint
from .manuals import MANUALS
from .scheduler import Job, Need
from .settings import Settings

UNITS = {"": 2**20, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}  # a bare number is MiB
ONLY_THESE = ("SLURM_CONF", "SLURM_TIME_FORMAT")
NO_CONFIGURATION = "Requested node configuration is not available"


@dataclass(frozen=True, slots=True)
class Where:
    """Who submits, and from where. `login` is the environment of a login: the whole environment of a job without an
    --export of ALL."""

    user: str
    directory: str
    environment: Mapping[str, str]
    login: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Submission:
    job: Job
    script: str
    environment: dict[str, str]
    parsable: bool


def directives(script: str) -> list[str]:
    """Returns the words of the `#SBATCH` lines before the first command."""
    words: list[str] = []
    for line in script.splitlines():
        if line.startswith("#SBATCH"):
            words += shlex.split(line.removeprefix("#SBATCH"), comments=True)
        elif line.strip() and not line.startswith("#"):
            break
    return words


def submission(arguments: Sequence[str], script: str, name: str, settings: Settings, where: Where) -> Submission:
    """Returns the job that `sbatch ARGUMENTS` requests; `script` is the text and `name` its file's name, if it has
    one."""
    sbatch = MANUALS["sbatch"]
    given, rest = sbatch.parse(arguments)
    if "wrap" in given:
        script = f"#!/bin/sh\n# This script was created by sbatch --wrap.\n\n{given['wrap']}\n"
    _check_script(script)
    inside, _ = sbatch.parse(directives(script))
    asked = {**inside, **given}  # the command line wins
    need, tasks, each = _need(asked, settings)
    limit = _limit(asked.get("time", ""), settings)
    job = Job(
        name=asked.get("job-name") or ("wrap" if "wrap" in given else name or "sbatch"),
        user=where.user, partition=asked.get("partition", settings.partition), need=need, tasks=tasks,
        cores_per_task=each, tasks_per_node=count(asked, "ntasks-per-node", 0),
        limit=limit, account=asked.get("account", ""), command=name, arguments=tuple(rest[1:]),
        directory=os.path.join(where.directory, asked.get("chdir", "")), output=asked.get("output", "slurm-%j.out"),
        errors=asked.get("error", ""),
        append=asked.get("open-mode", "") == "append", comment=asked.get("comment", ""),
        gpu_model=_gpus(asked, settings)[0], memory_per_core=0 if "mem" in asked else need.memory // need.cores,
    )  # fmt: skip
    _check(job, asked, settings)
    wanted = asked.get("export") or "ALL"
    given_on = exported(wanted, where.environment)
    environment = given_on if "ALL" in wanted.split(",") else {**where.login, **given_on}
    return Submission(job, script, environment, "parsable" in asked)


def exported(wanted: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the variables for --export: ALL, NONE, NIL, or names and NAME=value, as sbatch does. A submitting job's
    own SLURM_* are never passed on."""
    kept = {key: value for key, value in environment.items() if not key.startswith("SLURM") or key in ONLY_THESE}
    words = [word for word in wanted.split(",") if word]
    if "ALL" not in words:
        names = {word for word in words if "=" not in word}
        kept = {key: value for key, value in kept.items() if key in names or key in ONLY_THESE}
    return kept | dict(word.split("=", 1) for word in words if "=" in word)


def _check_script(script: str) -> None:
    if not script.strip():
        raise Complaint("Batch script is empty!")
    if not script.startswith("#!"):
        raise Complaint(
            "This does not look like a batch script.  The first",
            "line must start with #! followed by the path to an interpreter.",
            "For instance: #!/bin/sh",
        )
    if "\0" in script:
        raise Complaint("The Slurm controller does not allow scripts that contain the NULL character '\\0'.")
    if "\r\n" in script:
        raise Complaint("Batch script contains DOS line breaks (\\r\\n)", "instead of expected UNIX line breaks (\\n).")


def _need(asked: Mapping[str, str], settings: Settings) -> tuple[Need, int, int]:
    nodes = count(asked, "nodes", 0)
    each = count(asked, "cpus-per-task", 1)
    per_node = count(asked, "ntasks-per-node", 0)
    tasks = count(asked, "ntasks", max(nodes, 1) * max(per_node, 1))
    nodes = nodes or (-(-tasks // per_node) if per_node else 1)
    nodes = min(nodes, tasks)  # as srun warns: "can't run 1 processes on 2 nodes"
    cores = -(-tasks // nodes) * each
    memory = cores * (settings.memory // settings.cores)
    if "mem" in asked:
        memory = _memory(asked["mem"], "mem") or settings.memory  # --mem=0 is all of a node
    elif "mem-per-cpu" in asked:
        memory = cores * _memory(asked["mem-per-cpu"], "mem-per-cpu")
    _, gpus = _gpus(asked, settings)
    if "gpus" in asked:
        gpus = -(-gpus // nodes)
    return Need(nodes, cores, memory, gpus), tasks, each


def count(asked: Mapping[str, str], option: str, default: int) -> int:
    """Returns a positive number among the options. Raises Complaint."""
    text = asked.get(option)
    if text is None:
        return default
    if option == "nodes" and (match := re.fullmatch(r"(\d+)-(\d+)", text)):
        text = match[1]
    if not re.fullmatch(r"\d{1,7}", text, re.ASCII) or int(text) < 1:
        raise Complaint(f'Invalid numeric value "{text}" for --{option}.')
    return int(text)


def _memory(text: str, option: str) -> int:
    match = re.fullmatch(r"(\d{1,12})([KMGT]?)B?", text, re.IGNORECASE | re.ASCII)
    if not match:
        raise Complaint(f"Invalid --{option} specification", code=255)
    return int(match[1]) * UNITS[match[2].upper()]


def _gpus(asked: Mapping[str, str], settings: Settings) -> tuple[str, int]:
    """Returns the requested model, "" for any, and the number of GPUs of a node or, with --gpus, of the job."""
    text = asked.get("gres") or asked.get("gpus-per-node") or asked.get("gpus") or ""
    if not text or text.lower() == "none":
        return "", 0
    parts = text.removeprefix("gres:").removeprefix("gres/").split(":")
    if asked.get("gres"):
        if parts[0] != "gpu":
            raise Complaint("Invalid generic resource (gres) specification")
        parts = parts[1:] or ["1"]
    count = parts[-1] if parts[-1].isdecimal() else "1"
    model = "" if parts[0].isdecimal() else parts[0]
    if model and model != settings.gpu_model:
        raise _refusal(NO_CONFIGURATION)
    return model, int(count)


def _limit(text: str, settings: Settings) -> int:
    if not text:
        return settings.max_walltime
    if text.upper() in ("UNLIMITED", "INFINITE"):
        raise _refusal("Requested time limit is invalid (missing or exceeds some limit)")
    seconds = time_of(text)
    if seconds is None:
        raise Complaint("Invalid --time specification", code=255)
    if not 0 < seconds <= settings.max_walltime:
        raise _refusal("Requested time limit is invalid (missing or exceeds some limit)")
    return seconds


def time_of(text: str) -> int | None:
    """Returns Slurm's minutes, minutes:seconds, hours:minutes:seconds, days-hours[:minutes[:seconds]], as seconds."""
    days, dash, clock = text.rpartition("-")
    if not re.fullmatch(r"\d{1,6}(:\d{1,6}){0,2}", clock, re.ASCII) or (
        dash and not re.fullmatch(r"\d{1,5}", days, re.ASCII)
    ):
        return None
    numbers = [int(part) for part in clock.split(":")]
    if dash:
        hours, minutes, seconds = [*numbers, 0, 0][:3]
        return int(days) * 86400 + hours * 3600 + minutes * 60 + seconds
    if len(numbers) == 3:
        return numbers[0] * 3600 + numbers[1] * 60 + numbers[2]
    return numbers[0] * 60 + (numbers[1] if len(numbers) == 2 else 0)


def _check(job: Job, asked: Mapping[str, str], settings: Settings) -> None:
    """Raises Complaint for a job that slurmctld would refuse at once, because it can never run here."""
    if job.partition != settings.partition:
        raise Complaint(
            f"invalid partition specified: {job.partition}",
            "Batch job submission failed: Invalid partition name specified",
        )
    if asked.get("qos", "normal") != "normal":
        raise _refusal("Invalid qos specification")
    if asked.get("open-mode", "truncate") not in ("append", "truncate"):
        raise Complaint("Invalid --open-mode specification", code=255)
    if any(not character.isprintable() for text in (job.name, job.account, job.comment) for character in text):
        raise Complaint("Invalid character in a job's name, account or comment")
    need = job.need
    if need.nodes > settings.nodes:
        raise _refusal("Node count specification invalid")
    if job.cores > settings.nodes * settings.cores:
        raise _refusal("More processors requested than permitted")
    if need.cores > settings.cores:
        raise Complaint("CPU count per node can not be satisfied", f"Batch job submission failed: {NO_CONFIGURATION}")
    if need.memory > settings.memory:
        raise Complaint("Memory specification can not be satisfied", f"Batch job submission failed: {NO_CONFIGURATION}")
    if need.gpus > settings.gpus:
        raise _refusal(NO_CONFIGURATION)


def _refusal(words: str) -> Complaint:
    return Complaint(f"Batch job submission failed: {words}")
