"""Reads captured answers: `tests/samples/<scheduler>/<name>.txt`, exactly as the scheduler printed them."""

from pathlib import Path

from scnet_hub.domain.commands import Command, Completed
from scnet_hub.domain.dialects.slurm import Slurm

FOLDER = Path(__file__).parents[3] / "samples"


def sample(scheduler: str, name: str) -> Completed:
    head, rest = (FOLDER / scheduler / f"{name}.txt").read_text().split("---- stdout\n", 1)
    stdout, stderr = rest.split("---- stderr\n", 1)
    return Completed(Command(("x",)), int(head.removeprefix("code ")), stdout, stderr)


def said(stdout: str = "", stderr: str = "", code: int = 0) -> Completed:
    return Completed(Command(("x",)), code, stdout, stderr)


def shown(*rows: str) -> Completed:
    """What `Slurm("scontrol")` is answered: each row of `scontrol --oneliner show job` under the mark of its job."""
    ids = [row.split(" ")[0].removeprefix("JobId=") for row in rows]
    under = (f"w: {job}\n{row}\n" for job, row in zip(ids, rows, strict=True))
    return Completed(Slurm("scontrol").usage(ids, "w"), 0, f"{''.join(under)}w: end\n", "")


def shown_sample(name: str) -> Completed:
    return shown(*sample("slurm", name).stdout.splitlines())
