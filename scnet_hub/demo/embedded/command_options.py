"""Options of Slurm's commands: read from each command's help text, and parsed like getopt_long of the GNU C library.

The help text is the only list of a command's options, so `--help` shows every option that works, and the rest is
refused in getopt's words.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

LINE = re.compile(r"^  (?:-(?P<letter>\w), |    )--(?P<name>[A-Za-z][A-Za-z0-9-]*)(?P<value>\[=|=)?")


class Complaint(Exception):
    """Raised with lines for standard error, each without the program's name unless `plain`, and the exit code."""

    def __init__(self, *lines: str, plain: bool = False, code: int = 1) -> None:
        super().__init__(*lines)
        self.lines, self.plain, self.code = lines, plain, code


@dataclass(frozen=True, slots=True)
class Option:
    """`value` is "=" for an option that needs a value, "[=" for an option that may have a value, else ""."""

    name: str
    letter: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True)
class Manual:
    """One command's help text, short usage, and reaction to a wrong option."""

    program: str
    usage: str
    help: str
    wrong: int = 1  # exit code for a wrong option
    # whether options end at the first other word: after it, sbatch and srun pass words on to the program
    stops: bool = False
    hint: bool = True

    def options(self) -> Iterator[Option]:
        for line in self.help.splitlines():
            if match := LINE.match(line):
                yield Option(match["name"], match["letter"] or "", match["value"] or "")

    def parse(self, words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
        """Returns options by their long names, and the other words. If an option is given twice, the last value counts.
        Raises Complaint."""
        return _Parser(self).parse(words)

    def complaint(self, words: str) -> Complaint:
        hint = [f'Try "{self.program} --help" for more information'] if self.hint else []
        return Complaint(f"{self.program}: {words}", *hint, plain=True, code=self.wrong)


class _Parser:
    def __init__(self, manual: Manual) -> None:
        self.manual = manual
        self.long = {option.name: option for option in manual.options()}
        self.short = {option.letter: option for option in self.long.values() if option.letter}
        self.given: dict[str, str] = {}

    def parse(self, words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
        waiting, rest = deque(words), list[str]()
        while waiting:
            word = waiting.popleft()
            if word == "--":
                rest += waiting
                break
            if word.startswith("--"):
                self._long(word[2:], waiting)
            elif word.startswith("-") and word != "-":
                self._short(word[1:], waiting)
            else:
                rest.append(word)
                if self.manual.stops:
                    rest += waiting
                    break
        return self.given, rest

    def _long(self, word: str, waiting: deque[str]) -> None:
        name, equals, value = word.partition("=")
        option = self._named(name, word)
        if equals and not option.value:
            raise self.manual.complaint(f"option '--{option.name}' doesn't allow an argument")
        if option.value == "=" and not equals:
            if not waiting:
                raise self.manual.complaint(f"option '--{option.name}' requires an argument")
            value = waiting.popleft()
        self.given[option.name] = value

    def _named(self, name: str, word: str) -> Option:
        """Returns the option of that name, or the only option that begins with it."""
        fitting = [name] if name in self.long else [known for known in self.long if name and known.startswith(name)]
        if not fitting:
            raise self.manual.complaint(f"unrecognized option '--{name}'")
        if len(fitting) > 1:
            possible = " ".join(f"'--{one}'" for one in fitting)
            raise self.manual.complaint(f"option '--{word}' is ambiguous; possibilities: {possible}")
        return self.long[fitting[0]]

    def _short(self, letters: str, waiting: deque[str]) -> None:
        while letters:
            letter, letters = letters[0], letters[1:]
            option = self.short.get(letter)
            if option is None:
                raise self.manual.complaint(f"invalid option -- '{letter}'")
            value = ""
            if option.value:
                value, letters = letters, ""
            if option.value == "=" and not value:
                if not waiting:
                    raise self.manual.complaint(f"option requires an argument -- '{letter}'")
                value = waiting.popleft()
            self.given[option.name] = value
