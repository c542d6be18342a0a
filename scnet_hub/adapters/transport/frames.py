"""Separates a command's own output from everything else that is printed at a login node: a banner, a motd, modules, a
wrapper's messages.

`framed` wraps a command in a shell that prints a mark before and after the command, on standard output and on standard
error; `unframed` keeps what lies between the marks. The mark is a word that only a shell that has run up to there could
know. The exit code is in the last mark, because a wrapper may lose the code. Frames cost no round trip: the frame
is part of the command line. Nothing here knows connections.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

# One line: a login shell may be csh, which ends a quoted string at a line's end. No variables, because the centre may
# have exported a variable of any name. `exec`, so that no shell's own `printf` or `kill` runs in place of the program.
# A line end before each mark, because the output before it may lack a line end. A trap, which the program does not
# inherit: `timeout` watches this shell, and must continue until the program has ended, to kill the program if needed.
# Marks of standard error lie outside those of standard output, wherever a wrapper joins the two.
FRAME = (
    'set +evx; trap : HUP INT TERM; [ -z "$2" ] || { PATH=$2:$PATH; export PATH; }; '
    'printf "\\n%s err\\n" "$1" >&2; printf "\\n%s out\\n" "$1"; (shift 2; exec "$@"); set -- "$1" "$?"; '
    'printf "\\n%s end %s\\n" "$1" "$2"; printf "\\n%s end\\n" "$1" >&2; exit "$2"'
)


@dataclass(frozen=True, slots=True)
class Said:
    """A command's output. `code` is the command's own exit code, None if the end mark is missing. `noise` is what
    others printed around the output, on each stream."""

    code: int | None
    stdout: bytes
    stderr: bytes
    noise: tuple[bytes, bytes]


def framed(argv: Sequence[str], mark: str, path: str = "") -> list[str]:
    """Returns `argv` inside a frame, with `path` put before PATH."""
    return ["sh", "-c", FRAME, "sh", mark, path, *argv]


def unframed(stdout: bytes, stderr: bytes, mark: str) -> Said | None:
    """Returns the command's output; None if the frame never began, so that nothing of the command ran."""
    word = mark.encode()
    before, begun, rest = stdout.partition(b"\n%s out\n" % word)
    if not begun:
        return None
    inside, code, after = _ended(rest, rb"\n%s end (\d{1,3})\n" % word)
    earlier, heard, complaints = stderr.partition(b"\n%s err\n" % word)
    own, _, later = _ended(complaints, rb"\n%s end()\n" % word)
    return Said(
        int(code) if code else None,
        inside,
        own if heard else b"",
        (b"\n".join((before, after)), b"\n".join((earlier, later))),
    )


def _ended(text: bytes, mark: bytes) -> tuple[bytes, bytes, bytes]:
    """Returns the text before the last mark, the mark's group, and the text after; the whole text if there is no
    mark."""
    marks = list(re.finditer(mark, text))
    return (text[: marks[-1].start()], marks[-1][1], text[marks[-1].end() :]) if marks else (text, b"", b"")
