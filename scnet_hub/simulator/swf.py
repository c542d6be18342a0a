"""Reads the Standard Workload Format: a log's lines into jobs that can be replayed.

The format is the Parallel Workloads Archive's: 18 columns of numbers, comments after `;` (Feitelson, Tsafrir, Krakow,
JPDC 2014). Further columns are ignored; if a log has no estimates, plausible ones are drawn. Opens no file.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from random import Random
from typing import NamedTuple

from ..errors import BadOption

COLUMNS = 18
LEAST_COLUMNS = 11  # through the status: all that is read here except the partition
LONGEST_RUN = 2 * 86400.0  # a longer job is cut to this: a few would decide a week
MODAL = tuple(
    60.0 * minutes
    for minutes in (5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 480, 720, 1080, 1440, 2160, 2880, 4320, 7200)
)
FEWEST_JOBS = 20  # a partition with fewer is not a site


class Batch(NamedTuple):
    """One job of a log: seconds from the log's start, cores, its run time, and its user's estimate."""

    submitted: float
    cores: int
    run: float
    estimate: float


class Row(NamedTuple):
    """The values of one line; -1 if the log has none."""

    submitted: float
    wait: float
    run: float
    cores: int
    asked: float
    partition: int


@dataclass(frozen=True, slots=True)
class Site:
    """One machine and the jobs submitted to it, in the order of submission."""

    name: str
    cores: int
    jobs: tuple[Batch, ...]


def sites_of(lines: Iterable[str], name: str, rng: Random, *, by_partition: bool = False) -> list[Site]:
    """Returns the log's machine, or with `by_partition` one for each of its partitions, the busiest first. Raises
    BadOption."""
    header: dict[str, str] = {}
    rows = list(_rows(lines, name, header))
    if not rows:
        raise BadOption(
            f"{name} has no job that ran, so there is nothing to replay.",
            hint="A log has one line of 18 numbers for each job.",
        )
    rows.sort()
    if not by_partition:
        return [_site(name, rows, _said(header), rng)]
    by = sorted(rows, key=lambda row: row.partition)
    parts = [(number, list(some)) for number, some in groupby(by, key=lambda row: row.partition)]
    sites = [_site(f"{name}/{number}", some, 0, rng) for number, some in parts if len(some) >= FEWEST_JOBS]
    if not sites:
        raise BadOption(
            f"{name} has no partition with {FEWEST_JOBS} jobs or more.",
            hint="Leave --partitions-as-sites out to replay the log as one machine.",
        )
    return sorted(sites, key=lambda site: -sum(job.cores * job.run for job in site.jobs))


def _rows(lines: Iterable[str], name: str, header: dict[str, str]) -> Iterable[Row]:
    """Yields every job that ran; comments go to `header` by their key."""
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text:
            continue
        if text[0] in ";#":
            if said := re.match(r"[;#]+\s*(\w+)\s*:\s*(.*)", text):
                header.setdefault(said[1], said[2])
            continue
        if row := _row(text.split(), name, number):
            yield row


def _row(words: Sequence[str], name: str, number: int) -> Row | None:
    try:
        if len(words) < LEAST_COLUMNS:
            raise ValueError(f"{len(words)} columns instead of {COLUMNS}")
        submitted, wait, run, used, wanted, asked = (_number(words[column]) for column in (1, 2, 3, 4, 7, 8))
        _number(words[0])
        partition = int(_number(words[15])) if len(words) > 15 else -1
    except ValueError as error:
        raise BadOption(
            f"{name}, line {number}: this is not the Standard Workload Format ({error}).",
            hint="It has 18 columns of numbers a line; see parallelworkloads.org, or leave --trace out for a "
            "generated workload.",
        ) from None
    cores = int(used if used > 0 else wanted)
    return Row(submitted, wait, run, cores, asked, partition) if run > 0 and cores > 0 and submitted >= 0 else None


def _number(word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        raise ValueError(f"{word[:20]!r} is not a number") from None
    if not math.isfinite(value) or abs(value) > 1e12:
        raise ValueError(f"{word[:20]!r} is out of range")
    return value


def _said(header: dict[str, str]) -> int:
    """Returns the number of processors in the header; 0 if the header has none."""
    for key in ("MaxProcs", "MaxNodes"):
        if found := re.match(r"\d+", header.get(key, "")):
            return int(found[0])
    return 0


def _site(name: str, rows: Sequence[Row], said: int, rng: Random) -> Site:
    """Makes a site; `rows` are in order of submission. If the header does not give the machine's size, it is the
    largest use that ever occurred."""
    largest = max(row.cores for row in rows)
    cores = said or max(largest, _fullest(rows))
    begin = rows[0].submitted
    jobs = tuple(
        Batch(row.submitted - begin, min(row.cores, cores), run, estimate(run, row.asked, rng))
        for row in rows
        for run in (min(row.run, LONGEST_RUN),)
    )
    return Site(name, cores, jobs)


def _fullest(rows: Sequence[Row]) -> int:
    changes = sorted(change for row in rows for change in _span(row))
    busy = most = 0
    for _, cores in changes:
        busy += cores
        most = max(most, busy)
    return most


def _span(row: Row) -> tuple[tuple[float, int], tuple[float, int]]:
    start = row.submitted + max(row.wait, 0.0)
    return (start, row.cores), (start + row.run, -row.cores)


def estimate(run: float, asked: float, rng: Random) -> float:
    """Returns the requested walltime, never below the run; if the log has none, the next round value above run x U(1,
    5)."""
    if asked > 0:
        return max(asked, run)
    guess = run * rng.uniform(1, 5)
    place = bisect_left(MODAL, guess)
    return max(MODAL[min(place, len(MODAL) - 1)], run)
