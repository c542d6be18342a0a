"""How commands answer: the client, `--json` or text, tables, and a problem as exit code 1.

The seam for tests is `App.connect`; the text of each noun is in its own file.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import click

from ..client.rest import Client
from ..errors import BrokerError, ScnetError

Json = dict[str, Any]
PIPED_WIDTH = 200  # columns of a table that goes to a file or a pipe: no cell is cut there


@dataclass(frozen=True, slots=True)
class App:
    """The object that a command receives as `ctx.obj`."""

    connect: Callable[[], Client] = Client


@dataclass(frozen=True, slots=True)
class Answer:
    """A command's result: a document for `--json`, a function that prints the same for people, and whether the exit
    code is 0."""

    document: Any
    print_text: Callable[[], None]
    ok: bool = True


def reading(function: Callable[..., Answer]) -> Callable[..., None]:
    """Makes a command that asks the broker: it receives `client` first, and gets the option `--json`. Errors of
    `errors.py` end the command with code 1."""

    @click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
    @click.pass_obj
    @functools.wraps(function)
    def command(app: App, /, *, as_json: bool, **options: Any) -> None:
        try:
            with readable(), app.connect() as client:
                answer = function(client, **options)
                if not as_json:
                    answer.print_text()
        except ScnetError as error:
            fail(error, as_json=as_json)
        if as_json:
            print_json(answer.document)
        if not answer.ok:
            sys.exit(1)

    return command


@contextlib.contextmanager
def readable() -> Iterator[None]:
    """Turns an answer that is not the JSON of rest.md (a proxy's page, another version's answer) into a BrokerError."""
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise BrokerError(
            f"The server is not a broker of this version: its answer can't be read ({type(error).__name__}: {error}).",
            hint="Check SCNET_API_URL; `scnet doctor` shows what answers there.",
            code="bad-answer",
        ) from error


def fail(error: ScnetError, *, as_json: bool) -> NoReturn:
    """Ends the command with exit code 1: the problem on stdout as JSON, or as text on stderr."""
    if as_json:
        print_json(error.problem())
    else:
        click.echo(f"{plain(str(error))}\n{plain(error.hint)}".strip(), err=True)
    sys.exit(1)


def print_json(document: Any) -> None:
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = ()) -> None:
    """Prints a table on stdout, as wide as the terminal, with the columns in `numbers` right-aligned. Cells are text,
    never markup."""
    from rich.console import Console
    from rich.table import Table

    terminal = sys.stdout.isatty()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for index, head in enumerate(heads):
        table.add_column(head, justify="right" if index in numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*(plain(cell) for cell in row))
    console = Console(markup=False, highlight=False, emoji=False, width=None if terminal else PIPED_WIDTH)
    console.print(table)


def plain(text: str) -> str:
    """Returns the text without terminal controls: text from a centre or a job must not move the cursor or rename the
    window."""
    text = re.sub(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|.?)", "", text)
    return "".join(character for character in text if character in "\n\t" or character.isprintable())
