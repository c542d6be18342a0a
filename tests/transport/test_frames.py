"""What a frame keeps of a command's answer, whatever stands around it, and that half an answer is never a whole one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scnet_hub.transport.frames import unframed

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
