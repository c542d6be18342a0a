"""The options of a job in Grid Engine's own words."""

from __future__ import annotations

from ...errors import BadOption
from ..jobs import JobSpec
from .command_checks import check

PATH_MARKS = frozenset("$,")  # $HOME and the like are replaced in -o and -wd; a comma begins a second path


def check_spec(spec: JobSpec) -> None:
    check(spec)
    if spec.nodes > 1:
        raise BadOption("nodes: on Grid Engine the hub submits jobs on one node only.")
    if spec.name[0].isdigit():
        raise BadOption("name: must not begin with a digit on Grid Engine.")
    for option, text in (("output", spec.output), ("directory", spec.directory)):
        if PATH_MARKS.intersection(text):
            raise BadOption(
                f"{option}: must not hold '$' or ',', which Grid Engine interprets in a path: {text[:40]!r}."
            )


def share_of_gpus(gpus: int, slots: int) -> str:
    """Returns the request per slot, so that all slots together get so many GPUs: "2", or "0.25" for one GPU over four
    slots."""
    if gpus * 10**6 % slots:
        raise BadOption(
            f"gpus: this Grid Engine allocates GPUs per core, and {gpus} can't be divided by {slots} cores.",
            hint="Ask for 1, 2, 4, 5 or 8 cores a GPU, for example.",
        )
    return f"{gpus / slots:.6f}".rstrip("0").rstrip(".")


def grep_pattern(name: str) -> str:
    """Returns a grep pattern that matches exactly this name."""
    return name.replace(".", "[.]").replace("+", "[+]")


# bash stays, so that a signal to the program alone differs from a deletion, which kills both. Exit code 99 would ask
# for another run, and 100 for an error that stays in the queue.
SCRIPT = "#!/bin/bash\n{}\ncode=$?\ncase $code in 99|100) code=98;; esac\nexit $code\n"
