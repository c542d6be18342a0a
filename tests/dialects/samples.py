"""Captured answers: `tests/samples/<scheduler>/<name>.txt`, as the scheduler really gave them."""

from pathlib import Path

from scnet_hub.commands import Command, Completed

FOLDER = Path(__file__).parents[1] / "samples"


def sample(scheduler: str, name: str) -> Completed:
    head, rest = (FOLDER / scheduler / f"{name}.txt").read_text().split("---- stdout\n", 1)
    stdout, stderr = rest.split("---- stderr\n", 1)
    return Completed(Command(("x",)), int(head.removeprefix("code ")), stdout, stderr)


def said(stdout: str = "", stderr: str = "", code: int = 0) -> Completed:
    return Completed(Command(("x",)), code, stdout, stderr)
