"""One command for a centre and its answer: dialects build and read them, transports carry them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Command:
    """An argv list (never a shell string) and the bytes for its standard input."""

    argv: tuple[str, ...]
    stdin: bytes = b""


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that ran to its end. The exit code is data: a dialect interprets it. `noise` is what others printed
    around the command's own output, on standard output and on standard error, where a transport can tell them apart: no
    parser sees it."""

    command: Command
    code: int
    stdout: str
    stderr: str
    noise: tuple[str, str] = ("", "")
    _made: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def read(self, by: Callable[[Completed], T]) -> T:
        """Returns the result of `by`, computed once and kept as long as the answer: a look needs two results from one
        long queue."""
        if by not in self._made:
            self._made[by] = by(self)
        made: T = self._made[by]
        return made
