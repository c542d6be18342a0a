"""Splits a cluster's cores, memory and GPUs into jobs: small jobs start sooner and fill gaps. Pure."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import BadOption
from ...units import parse_memory

MOST_JOBS = 1000  # of one cluster


@dataclass(frozen=True, slots=True)
class Size:
    """One job: `memory` is bytes (0: the centre's share for the cores)."""

    cores: int
    memory: int = 0
    gpus: int = 0


def whole(option: str, value: Any, least: int = 0) -> int:
    """Returns `value` as a whole number. Raises BadOption for anything else, and for less than `least`."""
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if isinstance(value, bool) or number < least:
        raise BadOption(f"{option}: {value!r} is not a whole number of at least {least}.")
    return number


def split(
    cores: int | None, memory: str | int = "", gpus: int = 0, *, most: int = 4, workers: int | None = None
) -> list[Size]:
    """Splits `cores` into jobs of at most `most` cores, as evenly as possible; with GPUs into one job each, of at least
    one core; with `workers` into that many jobs (default for `cores`: `most` each). Memory is divided by cores. Raises
    BadOption."""
    most, gpus = whole("job_cores", most, 1), whole("gpus", gpus)
    jobs = gpus if workers is None else whole("workers", workers, 1)
    if gpus and workers is not None and gpus != workers:
        raise BadOption(
            f"gpus={gpus} and workers={workers} contradict each other.",
            hint="Each worker has one GPU: give one of them, or the same number.",
        )
    cores = jobs * most if cores is None else whole("cores", cores, 1)
    total = whole("memory", parse_memory(memory)) if memory != "" else 0
    jobs = jobs or -(-cores // most)
    few(jobs)
    cores = max(cores, jobs)
    small, larger = divmod(cores, jobs)
    each = [small + 1] * larger + [small] * (jobs - larger)
    return [Size(part, total * part // cores, 1 if gpus else 0) for part in each]


def few(jobs: int) -> int:
    """Returns `jobs`. Raises BadOption if no cluster may have that many."""
    if jobs > MOST_JOBS:
        raise BadOption(
            f"{jobs:,} jobs are too many: a cluster has at most {MOST_JOBS:,}.",
            hint="Make jobs larger, for example job_cores=16.",
        )
    return jobs


@dataclass(frozen=True, slots=True)
class Target:
    """An amount of jobs, cores or memory (bytes) that a cluster is to have."""

    unit: str
    amount: int

    def of(self, size: Size) -> int:
        """Returns how much of it a job of that size is."""
        return {"jobs": 1, "cores": size.cores, "memory": size.memory}[self.unit]

    def missing(self, have: Sequence[Size], new: Size) -> list[Size]:
        """Returns the jobs like `new` to add to `have`; the last has fewer cores if these suffice. Raises BadOption for
        more than a cluster may have."""
        amount = self.amount - sum(self.of(size) for size in have)
        if amount <= 0:
            return []
        jobs = -(-amount // self.of(new))
        few(len(have) + jobs)
        rest = amount % new.cores if self.unit == "cores" and not new.gpus else 0
        if not rest:
            return [new] * jobs
        return [*[new] * (jobs - 1), Size(rest, new.memory * rest // new.cores)]

    def jobs(self, size: Size, *, up: bool) -> int:
        """Returns the amount in jobs of that size, rounded up or down."""
        return -(-self.amount // self.of(size)) if up else self.amount // self.of(size)


def target(call: str, size: Size, **given: Any) -> Target | None:
    """Returns the one amount that is not None among `given`: n or jobs, cores, memory ("64G" or bytes); None if there
    is none. Raises BadOption, with `call` in its words."""
    stated = {name: value for name, value in given.items() if value is not None}
    if len(stated) > 1:
        raise BadOption(f"{call}: give one of {' and '.join(stated)}.")
    for name, value in stated.items():
        unit = name.rpartition("_")[2]
        if unit in ("cores", "memory"):
            amount = whole(name, parse_memory(value, option=name) if unit == "memory" else value)
        else:
            unit, amount = "jobs", whole(name, value)
        if unit == "memory" and not size.memory:
            raise BadOption(
                f"{call}: the memory of a job is not known: the centre chooses it.",
                hint="Give memory= when you make the cluster, or count jobs or cores here.",
            )
        return Target(unit, amount)
    return None


def range_of(size: Size, default_most: int, least: Target | None, most: Target | None, cap: int) -> tuple[int, int]:
    """Returns the fewest and the most jobs for Adaptive, the most at least one and no more than `cap`. Raises
    BadOption."""
    low = least.jobs(size, up=True) if least else 0
    high = min(most.jobs(size, up=False) if most else default_most, cap)
    if low > high or high < 1:
        raise BadOption(
            f"adapt: from {low:,} to {high:,} jobs is not possible.",
            hint=f"The project's quota allows {cap:,} jobs of this cluster at once.",
        )
    return low, high


def unlimited(value: Any) -> bool:
    """Returns whether that maximum is Dask's word for none."""
    return isinstance(value, float) and math.isinf(value) and value > 0


def surplus(jobs: Sequence[tuple[str, int, bool]], keep: int) -> list[str]:
    """Returns which of (name, amount, connected), oldest first, may end so that at least the amount `keep` stays:
    waiting jobs first, then the newest."""
    left, going = sum(amount for _, amount, _ in jobs), []
    for name, amount, _ in sorted(reversed(jobs), key=lambda job: job[2]):
        if left - amount >= keep:
            left -= amount
            going.append(name)
    return going


Adaptive = bool | tuple[int, int] | None
