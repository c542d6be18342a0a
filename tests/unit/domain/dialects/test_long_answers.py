"""Tests long answers: each is read once for a whole look, in a time that grows with its length alone, whatever other
users wrote."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scnet_hub.demo.embedded.command_options import Manual
from scnet_hub.domain.commands import Completed
from scnet_hub.domain.dialects import slurm_accounting, slurm_gres, slurm_hosts, slurm_site
from scnet_hub.domain.dialects.command_checks import AHEAD, FOR_EVER
from scnet_hub.domain.dialects.gridengine import GridEngine
from scnet_hub.domain.dialects.slurm import Slurm
from scnet_hub.domain.dialects.slurm_site import Site

from .samples import said, sample

AT = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
LONG = 40_000
# seconds of CPU time; each of these takes milliseconds, and two to thirty seconds where time grows with the square
MOST = 2.0
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


def test_a_job_counts_in_each_partition_that_it_lists_once() -> None:
    nodes = "".join(f"n1|{name}|0/4/0/4|8000|0|(null)|(null)|idle|1:00:00|up|\n" for name in "abc")
    rest = "n/a|N/A|{}|2|1:00:00|N/A|N/A|N/A|N/A|1|1|{}|{}|N/A|Priority|work|.\n"
    lists = {1: "a,b", 2: "b,a", 3: "b,b", 4: "c"}
    queue = "".join(f"{job}|PENDING|{rest.format(names, job, job)}" for job, names in lists.items())
    found = Slurm("sacct").snapshot([said(nodes)], said(queue), AT).partitions
    assert {name: (part.queued_jobs, part.queued_cores) for name, part in found.items()} == {
        "a": (2, 4),
        "b": (3, 6),
        "c": (1, 2),
    }


def test_of_many_long_arrays_as_many_tasks_are_made_as_are_looked_at() -> None:
    job = "<job_list><JB_job_number>{}</JB_job_number><state>qw</state><slots>1</slots><tasks>1-75000:1</tasks></job_list>"
    instance = "<Queue-List><name>all.q@n1</name><slots_total>4</slots_total><state></state></Queue-List>" * 20
    text = "".join(job.format(number) for number in range(1, 10_001))
    queue = said(f"<job_info><queue_info>{instance}</queue_info><job_info>{text}</job_info></job_info>\nqstat 0\n")
    began = time.process_time()
    seen = GridEngine().snapshot([], queue, AT).partitions["all.q"]
    assert (len(seen.waiting), seen.queued_jobs) == (AHEAD, 750_000_000)
    assert time.process_time() - began < 2 * MOST


def test_a_name_of_more_parts_than_any_host_has_is_a_name() -> None:
    assert slurm_hosts.first_host("a[1-2]b[3-4]") == "a1b3"
    assert slurm_hosts.first_host("a[1-2]" * 2000) == "a[1-2]" * 2000


def test_digits_of_other_scripts_are_no_job_and_no_size() -> None:
    rest = "RUNNING|n1|1|main|1|1-00:00:00|N/A|N/A|N/A|N/A|1|1|100|1|N/A|None|work|.\n"
    assert Slurm("sacct").statuses(said(f"١٢|{rest}12|{rest}"), AT).keys() == {"12"}
    kinds = "P|main|gpu:1|NO|4|1|4|1|.\n"
    assert slurm_site.site("", kinds.replace("4", "٤")).partitions == {}
    assert slurm_site.site("", kinds.replace("4", "9" * 5000)).partitions == {}
