"""Tests which processes belong to a job. A process that is counted is killed with the job, so these tests are about
processes that must be left out."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from scnet_hub.demo.embedded.processes import Census, Fact, Root, _of_job, alive, job_pid, kill

NOW = 1000.0
OLD, YOUNG = NOW - 500, NOW + 1


def fact(pid: int, parent: int, session: int, born: float = YOUNG) -> Fact:
    return Fact(parent, session, (pid, born), 1.0)


MACHINE = {
    one.member[0]: one
    for one in (
        fact(1, 0, 1, OLD), fact(2, 0, 0, OLD), fact(20, 2, 0), fact(50, 1, 50, OLD), fact(60, 50, 60, OLD),
        fact(61, 60, 60), fact(100, 1, 100), fact(101, 100, 101), fact(102, 101, 101), fact(103, 100, 103),
        fact(104, 1, 101), fact(os.getpid(), 1, 9),
    )
}  # fmt: skip


def test_descendants_of_the_launcher_and_its_scripts_session_are_the_jobs() -> None:
    assert _of_job(Root(100, 101, NOW), set(), MACHINE) == {101, 102, 103, 104}


@pytest.mark.parametrize(
    ("launcher", "session"),
    [(0, 0), (0, 777), (999, 0), (1, 0), (1, 1), (2, 0), pytest.param(os.getpid(), 9, id="this process")],
)
def test_a_launcher_that_is_gone_or_nonsense_makes_nobody_a_jobs(launcher: int, session: int) -> None:
    assert _of_job(Root(launcher, session, NOW), set(), MACHINE) <= {20}, (
        "a kernel thread at most, which no signal reaches"
    )
    assert _of_job(Root(launcher, session, NOW), {(1, OLD), (50, OLD)}, {**MACHINE, 0: fact(0, 0, 0)}) <= {20}


def test_a_lost_job_keeps_those_that_were_seen_or_are_in_its_session() -> None:
    assert _of_job(Root(0, 101, NOW), {(103, YOUNG)}, MACHINE) == {101, 102, 103, 104}


def test_nobody_older_than_the_job_is_its_process_even_with_a_number_used_again() -> None:
    assert _of_job(Root(50, 60, NOW), {(50, OLD), (60, OLD)}, MACHINE) == {61}, (
        "only the one born after the job started"
    )
    assert _of_job(Root(100, 101, NOW + 100), set(), MACHINE) == set()


@pytest.fixture
def child() -> Iterator[psutil.Popen]:
    process = psutil.Popen(["sleep", "300"])
    yield process
    with suppress(psutil.NoSuchProcess):
        process.kill()
    process.wait()


def test_killing_spares_a_process_that_took_over_a_number(child: psutil.Popen) -> None:
    kill(
        [
            (child.pid, child.create_time() - 60),
            (1, psutil.Process(1).create_time()),
            (os.getpid(), psutil.Process().create_time()),
        ]
    )
    assert alive(child.pid, child.create_time())
    kill([(child.pid, child.create_time())])
    assert child.wait(5) == -9


def test_a_scripts_number_counts_only_with_its_start_time(child: psutil.Popen, tmp_path: Path) -> None:
    assert job_pid(tmp_path) == 0
    (tmp_path / "pid").write_text(f"{child.pid} {time.time():.3f}\n")
    assert job_pid(tmp_path) == child.pid
    (tmp_path / "pid").write_text(f"{child.pid} {time.time() - 60:.3f}\n")
    assert job_pid(tmp_path) == 0


def test_the_machine_itself_is_never_a_lost_jobs(child: psutil.Popen) -> None:
    assert Census().members(1, Root(0, 0, time.time())) == set()
    assert Census().members(1, Root(0, 0, 0.0)) == set()
