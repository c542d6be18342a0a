"""What shows that a session works: real processes of this machine, a made-up nvidia-smi, marks in a folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from scnet_hub.node import activity

pytestmark = pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="the sign is read from Linux's /proc")


@pytest.fixture
def start() -> Iterator[object]:
    with ExitStack() as ends:

        def begin(code: str, session: str = "s1", shell: bool = False) -> subprocess.Popen[str]:
            argv = ["sh", "-c", code] if shell else [sys.executable, "-c", code]
            env = {**os.environ, "SCNET_SESSION": session}
            process = subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, text=True, start_new_session=True)
            ends.callback(process.wait, 10)
            ends.callback(os.killpg, process.pid, signal.SIGKILL)  # what it left behind, too
            return process

        yield begin


def working(of: activity.Processes, seconds: float) -> tuple[str, ...]:
    """Two looks, with a machine in between that really ran for so long."""
    of.working(0.0)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.05)
    return of.working(max(seconds, activity.SLOW_LOOK))


def test_a_program_that_computes_is_at_work_though_its_shell_has_gone(start) -> None:  # type: ignore[no-untyped-def]
    start("while :; do :; done & echo gone", shell=True).stdout.readline()
    assert working(activity.Processes("s1"), 2.0) == ("sh computes",)


def test_a_program_that_moves_data_is_at_work(start) -> None:  # type: ignore[no-untyped-def]
    code = (
        "import time\nprint(1, flush=True)\nf = open('/dev/zero', 'rb', buffering=0)\nwhile True: f.read(100_000); "
        "time.sleep(0.02)"
    )
    start(code).stdout.readline()
    assert [one for one in working(activity.Processes("s1"), 2.0) if "python" in one]


def test_one_that_waits_is_not_and_another_sessions_is_not_ours(start) -> None:  # type: ignore[no-untyped-def]
    start("print(1, flush=True); import time; time.sleep(60)").stdout.readline()
    start("while :; do :; done", session="s2", shell=True)
    looks = activity.Processes("s1")
    looks.working(0.0)
    assert working(looks, 0.5) == ()


def test_two_looks_too_close_say_what_the_last_said(start) -> None:  # type: ignore[no-untyped-def]
    start("while :; do :; done", shell=True)
    looks = activity.Processes("s1")
    first = working(looks, 1.0)
    assert first and looks.working(activity.SLOW_LOOK + 0.1) == first


def test_a_stat_line_with_a_name_that_misleads_is_read() -> None:
    line = "42 (a) S 1 (b) S 1 42 42 0 -1 4194304 1 2 3 4 100 50 7 3 20 0 1 0 987654 1 2"
    name, born, seconds = activity.read_stat(line)
    assert (name, born, seconds) == ("a) S 1 (b", "987654", 160 / os.sysconf("SC_CLK_TCK"))


def test_marks_count_by_the_youngest(tmp_path: Path) -> None:
    assert (
        activity.marked(str(tmp_path)) == float("inf") == activity.marked(str(tmp_path / "gone")) == activity.marked("")
    )
    for name, age in (("a", 100), ("b", 20)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    assert 20 <= activity.marked(str(tmp_path)) < 25


def test_gpus_that_compute_are_named_and_held_memory_is_not() -> None:
    assert activity.read_gpus("0, 97\n1, 0\n2, [N/A]\n\n3, 5\n") == ("GPU 0 computes", "GPU 3 computes")


def test_only_the_jobs_own_gpus_are_asked_for(tmp_path: Path) -> None:
    tool = tmp_path / "smi"
    tool.write_text('#!/bin/sh\necho "$2, 50"\n')
    tool.chmod(0o700)
    assert activity.gpus_in_use({"CUDA_VISIBLE_DEVICES": "3"}, str(tool)) == ("GPU 3 computes",)
    assert activity.gpus_in_use({}, str(tmp_path / "missing")) == ()
