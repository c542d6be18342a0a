"""One command for a centre and its answer: what dialects build and read, and what transports carry."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """An argv list (never a shell string) and what goes to its standard input."""

    argv: tuple[str, ...]
    stdin: bytes = b""


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that ran to its end. The exit code is data: a dialect says what it means. `noise` is what others printed around the
    command's own words, on standard output and on standard error, where a transport can tell them apart: no parser sees it."""

    command: Command
    code: int
    stdout: str
    stderr: str
    noise: tuple[str, str] = ("", "")
