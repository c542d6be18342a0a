"""Describes a Grid Engine installation: its complexes, and qconf's tables of queues, environments and the scheduler."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from ..commands import Completed
from . import gridengine_qstat
from .command_checks import lines
from .gridengine_qstat import Instance, size

TYPES = frozenset(
    ["INT", "DOUBLE", "MEMORY", "TIME", "BOOL", "STRING", "CSTRING", "RESTRING", "HOST", "RSMAP"]
)  # types of complexes


@dataclass(frozen=True, slots=True)
class Complex:
    """A resource that jobs can ask for. `booked`: it is a consumable. `per_slot`: a job of n slots gets n times the
    requested amount."""

    name: str
    booked: bool = False
    per_slot: bool = False

    def times(self, slots: int) -> int:
        return slots if self.per_slot else 1


def first_complex(names: Iterable[str], rows: Mapping[str, Sequence[str]]) -> Complex | None:
    name = next((name for name in names if name in rows), "")
    return Complex(name, booked=rows[name][5] != "NO", per_slot=rows[name][5] == "YES") if name else None


def told_lines(done: Completed) -> list[str]:
    """Returns the lines of an answer, or none if the site forbids the query. Raises Unreachable."""
    gridengine_qstat.check_asked(done)
    return [] if done.code else lines(done.stdout)


def none_is_empty(done: Completed) -> Completed:
    """Accepts "no parallel environment defined" as an answer, although it has an exit code."""
    return replace(done, code=0, stdout="") if done.code == 1 and done.stderr.startswith("no ") else done


def tables(said: Iterable[str], first: str) -> Iterator[dict[str, str]]:
    """Yields qconf's tables of names and values, one after the other, each beginning with `first`. Lines before the
    first table are output of other programs."""
    table: dict[str, str] = {}
    for line in said:
        name, _, value = line.partition(" ")
        if name == first:
            if table:
                yield table
            table = {}
        if table or name == first:
            table[name] = value.strip()
    if table:
        yield table


def time_limit(text: str) -> timedelta | None:
    """Returns a queue's walltime: "48:00:00", "3600", "INFINITY"; the different values of single nodes ("[n1=…]") are
    left out."""
    parts = text.split(",")[0].split(":")
    if len(parts) > 3 or not all(re.fullmatch(r"\d{1,9}", part, re.ASCII) for part in parts):
        return None
    return timedelta(seconds=sum(int(part) * 60**power for power, part in enumerate(reversed(parts))))


def booked_of(resource: Complex, instance: Instance) -> tuple[float, float]:
    """Returns a node's total of a consumable, and the amount that its jobs use."""
    used = sum(size(job.wants.get(resource.name, "")) * resource.times(job.slots) for job in instance.jobs)
    return size(instance.left.get(resource.name, "")) + used, used
