"""Long answers: read once for all that a look wants of them, and in a time that grows with their length alone, whatever strangers wrote."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scnet_hub.centres.embedded.options import Manual
from scnet_hub.commands import Completed
from scnet_hub.dialects import slurm_accounting, slurm_gres, slurm_hosts, slurm_site
from scnet_hub.dialects.checks import FOR_EVER
from scnet_hub.dialects.slurm import Slurm
from scnet_hub.dialects.slurm_site import Site

from .samples import said, sample

AT = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
LONG = 50_000
MOST = 2.0  # seconds of CPU time; each of these takes milliseconds, and three to thirty seconds where time grows with the square
ROW = "JobId=7 JobName=a UserId=b(1) JobState=RUNNING NumCPUs=1 NumNodes=1 Comment=x "
READINGS: dict[str, Callable[[], Any]] = {
    "a list of accelerators": lambda: slurm_gres.parse("gpu," * LONG),
    "accelerators and open brackets": lambda: slurm_gres.parse("gpu(," * LONG),
    "a list of hosts": lambda: list(slurm_hosts.hosts("n1," * LONG)),
    "hosts and open brackets": lambda: list(slurm_hosts.hosts("n[," * LONG)),
    "numbers of hosts": lambda: list(slurm_hosts.hosts(f"n[{'1,' * LONG}2]")),
    "one word of a person's": lambda: slurm_accounting.scontrol(f"w: 7\n{ROW}{'a' * LONG}\nw: end\n", "w", Site()),
    "spaces in a configuration": lambda: slurm_site.site(f"A = b{' ' * LONG}c\n", ""),
    "words after a command": lambda: Manual("squeue", "", "").parse(["1"] * 5 * LONG),
}


@pytest.mark.parametrize("reading", READINGS.values(), ids=READINGS)
def test_time_grows_with_the_length_alone(reading: Callable[[], Any]) -> None:
    began = time.process_time()
    reading()
    assert time.process_time() - began < MOST


def test_an_answer_is_read_once() -> None:
    reads = []

    def lines(done: Completed) -> list[str]:
        reads.append(done)
        return done.stdout.splitlines()

    done = said("a\nb\n")
    assert done.read(lines) is done.read(lines)
    assert len(reads) == 1
    assert done == said("a\nb\n") and hash(done) == hash(said("a\nb\n"))
    assert replace(done, stdout="c\n").read(lines) == ["c"]


def test_a_job_that_begins_at_the_end_of_all_calendars_stays() -> None:
    words = Slurm("sacct")
    nodes = sample("slurm", "sinfo_nodes")
    queue = said("1|RUNNING|alpha1|9999-12-31T23:59:59|main|1|1-00:00:00|N/A|N/A|N/A|N/A|1|1|100|1|N/A|None|work|.\n")
    (booking,) = words.snapshot([nodes], queue, AT).partitions["main"].running
    assert booking.ends_at == AT + FOR_EVER > AT + timedelta(days=1)


def test_a_name_of_more_parts_than_any_host_has_is_a_name() -> None:
    assert slurm_hosts.first_host("a[1-2]b[3-4]") == "a1b3"
    assert slurm_hosts.first_host("a[1-2]" * 2000) == "a[1-2]" * 2000


def test_digits_of_other_scripts_are_no_job_and_no_size() -> None:
    rest = "RUNNING|n1|1|main|1|1-00:00:00|N/A|N/A|N/A|N/A|1|1|100|1|N/A|None|work|.\n"
    assert Slurm("sacct").statuses(said(f"١٢|{rest}12|{rest}"), AT).keys() == {"12"}
    kinds = "P|main|gpu:1|NO|4|1|4|1|.\n"
    assert slurm_site.site("", kinds.replace("4", "٤")).partitions == {}
    assert slurm_site.site("", kinds.replace("4", "9" * 5000)).partitions == {}
