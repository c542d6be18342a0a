"""Tests what a frame keeps of a command's answer, whatever surrounds it, and that an incomplete answer never counts as
complete."""

from __future__ import annotations

import os
import signal
import subprocess

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scnet_hub.adapters.transport.frames import framed, unframed

from .sshd import until

MARK = "0123456789abcdef"
BYTES = st.binary(max_size=60)


def printed(code: int, stdout: bytes, stderr: bytes) -> tuple[bytes, bytes]:
    word = MARK.encode()
    return b"\n%s out\n%s\n%s end %d\n" % (word, stdout, word, code), b"\n%s err\n%s\n%s end\n" % (word, stderr, word)


@given(st.integers(0, 255), BYTES, BYTES, BYTES, BYTES)
def test_an_answer_is_kept_to_the_byte(code: int, stdout: bytes, stderr: bytes, before: bytes, after: bytes) -> None:
    out, err = printed(code, stdout, stderr)
    said = unframed(before + out + after, before + err + after, MARK)
    assert said and (said.code, said.stdout, said.stderr) == (code, stdout, stderr)
    assert all(before in noise and after in noise for noise in said.noise)


@given(BYTES, st.data())
def test_an_answer_that_breaks_off_has_no_code(stdout: bytes, data: st.DataObject) -> None:
    out, err = printed(0, stdout, b"")
    said = unframed(out[: data.draw(st.integers(0, len(out) - 1))], err, MARK)
    assert said is None or (said.code is None and stdout.startswith(said.stdout[: len(stdout)]))


@given(BYTES, BYTES)
def test_words_without_a_mark_are_no_answer(stdout: bytes, stderr: bytes) -> None:
    assert unframed(stdout, stderr, MARK) is None


def test_a_shown_command_line_begins_no_frame() -> None:
    """`set -x` in a profile prints the line with the mark in it."""
    line = f"+ timeout 5 sh -c '... \\n%s out\\n' sh {MARK} '' true\n".encode()
    out, err = printed(0, b"yes\n", b"")
    assert unframed(line, line, MARK) is None
    said = unframed(line + out, line + err, MARK)
    assert said and (said.stdout, said.stderr) == (b"yes\n", b"")


@pytest.mark.parametrize(
    ("program", "code"),
    [("echo $$; exec sleep 60", 143), ("trap '' TERM; echo $$; while :; do sleep 0.05; done", None)],
)
def test_a_program_that_does_not_end_is_killed_with_its_frame(program: str, code: int | None) -> None:
    """`timeout` watches the frame's shell: were that gone at once, a program that ignores TERM would live on."""
    argv = ["timeout", "-k", "0.2", "60", *framed(["sh", "-c", program], MARK)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True) as process:
        assert process.stdout
        out = b"".join(process.stdout.readline() for _ in range(3))
        running = psutil.Process(int(out.split()[-1]))
        process.terminate()
        said = unframed(out + process.stdout.read(), b"", MARK)
        assert said and said.code == code
        assert process.wait(10) == (code or -signal.SIGKILL)
    until(lambda: not running.is_running() or running.status() == psutil.STATUS_ZOMBIE, "the program to end")


def test_a_program_inherits_no_trap_and_no_word_of_its_frame() -> None:
    argv = framed(["sh", "-c", "trap; env; kill -TERM $$"], MARK, "/first")
    done = subprocess.run(
        argv, env={"PATH": os.environ["PATH"], "m": "1"}, capture_output=True, timeout=10, check=False
    )
    said = unframed(done.stdout, done.stderr, MARK)
    assert said and said.code == 143 == done.returncode
    assert (
        b"m=1\n" in said.stdout
        and b"PATH=/first:" in said.stdout
        and MARK.encode() not in said.stdout
        and b"trap" not in said.stdout
    )
