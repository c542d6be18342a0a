"""The saved form of a panel, as HTML and as plain text, for a saved notebook, an export or a terminal.

The counterpart of base.js: a panel lists its parts, most of them a `Table` of `Column`s, made by the same functions as
in JavaScript (`plain`, `noted`, `badge`, `clock`). All are pure functions of the panel's state (state.py). Every string
of a person or a centre is escaped here; the style sheet is the live view's own, so that both look alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from html import escape
from pathlib import Path
from typing import Any, Literal, Protocol

from ...display.times import NONE, ago, dated_second, read
from ...units import format_duration

Json = dict[str, Any]
Now = str | None  # when the state was true, ISO
Pick = Callable[[Json], str]


class Part(Protocol):
    """A piece of a panel. It makes HTML and text of the panel's whole state, each "" if there is nothing to show."""

    def html(self, shown: Json) -> str: ...
    def text(self, shown: Json) -> str: ...


def html(shown: Json, parts: Sequence[Part]) -> str:
    """Returns a panel as self-contained HTML, with its time."""
    problem = shown.get("problem")
    stale = " is-stale" if problem and problem.get("stale") else ""
    said = (
        f"<div class='scnet-problem'><b>{escape(problem['title'])}</b> {escape(problem['hint'])}</div>"
        if problem
        else ""
    )
    head = (
        f"<div class='scnet-head'><span class='scnet-summary'>{escape(shown['summary'])}</span>"
        f"<span class='scnet-asof'>as of {moment(shown)}</span></div>"
    )
    return (
        f"<style>{style()}</style><div "
        f"class='scnet{stale}'>{head}{said}{''.join(part.html(shown) for part in parts)}</div>"
    )


def text(shown: Json, parts: Sequence[Part]) -> str:
    """Returns a panel as readable text, 80 to 110 columns wide."""
    problem = shown.get("problem")
    head = " · ".join(filter(None, ("SCNet", shown["summary"], f"as of {moment(shown)}")))
    said = f"! {problem['title']} {problem['hint']}" if problem else ""
    return "\n\n".join(filter(None, (head, said, *(part.text(shown) for part in parts))))


@cache
def style() -> str:
    return (Path(__file__).parent / "panel.css").read_text(encoding="utf-8")


# ---- cells


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a table. It makes a cell as HTML (escaped) and as text, of a row and the state's time."""

    head: str
    html: Callable[[Json, Now], str]
    text: Callable[[Json, Now], str]
    num: bool = False


def plain(head: str, pick: Pick, *, num: bool = False) -> Column:
    """Shows a text."""
    return Column(head=head, html=lambda row, now: escape(pick(row)), text=lambda row, now: pick(row), num=num)


def noted(head: str, pick: Pick, note: Pick, *, text: Pick | None = None, num: bool = False) -> Column:
    """Shows a text with a small note below it; a text table shows `text` alone."""
    return Column(
        head=head,
        html=lambda row, now: escape(pick(row)) + _note(note(row)),
        text=lambda row, now: (text or pick)(row),
        num=num,
    )


def badge(head: str, note: Pick) -> Column:
    """Shows a state by icon and word, with a note below it."""

    def cell(row: Json, now: Now) -> str:
        mark = f"<i aria-hidden='true'>{escape(row['icon'])}</i>{escape(row['word'])}"
        return f"<span class='scnet-state {escape(row['tone'])}'>{mark}</span>{_note(note(row))}"

    return Column(head=head, html=cell, text=lambda row, now: f"{row['icon']} {row['word']}")


def clock(head: str, kind: Literal["since", "until"], key: str) -> Column:
    """Shows an age, or a time left."""
    words = age if kind == "since" else time_left
    return Column(
        head=head, html=lambda row, now: words(row[key], now), text=lambda row, now: words(row[key], now), num=True
    )


def _note(words: str) -> str:
    return f"<span class='scnet-note'>{escape(words)}</span>" if words else ""


# ---- the table


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the rows that `rows` finds in a state; empty without rows. `tail`: a text table's last column, without
    a head."""

    caption: str
    rows: Callable[[Json], Sequence[Json]]
    columns: Sequence[Column]
    tail: Pick | None = None

    def html(self, shown: Json) -> str:
        kinds = [" class='num'" if column.num else "" for column in self.columns]
        heads = "".join(
            f"<th scope='col'{kind}>{escape(one.head)}</th>" for kind, one in zip(kinds, self.columns, strict=True)
        )
        lines = []
        for row in self.rows(shown):
            first, *rest = (one.html(row, shown["now"]) for one in self.columns)
            cells = "".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(kinds[1:], rest, strict=True))
            lines.append(f"<tr><th scope='row'>{first}</th>{cells}</tr>")
        caption = f"<caption>{escape(self.caption)}</caption>"
        table = f"<table>{caption}<thead><tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
        return f"<div class='scnet-scroll'>{table}</div>" if lines else ""

    def text(self, shown: Json) -> str:
        tail = [self.tail] if self.tail else []
        rows = [
            [*(one.text(row, shown["now"]) for one in self.columns), *(last(row) for last in tail)]
            for row in self.rows(shown)
        ]
        right = [place for place, one in enumerate(self.columns) if one.num]
        return aligned([*(one.head for one in self.columns), *("" for _ in tail)], rows, right)


def aligned(heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Aligns the columns under their heads; "" without rows."""
    if not rows:
        return ""
    widths = [max(len(row[i]) for row in (heads, *rows)) for i in range(len(heads))]
    lines = [
        "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (heads, *rows)
    ]
    return "\n".join(line.rstrip() for line in lines)


# ---- times


def moment(shown: Json) -> str:
    """Returns "23 Nov 2026 12:00:05 UTC": when this state was true, with the date because it may be read another day;
    "never" before the first answer."""
    return dated_second(shown.get("now"), none="never")


def age(taken_at: str | None, now: Now) -> str:
    """Returns the age of a fact at `now`: "12 s ago"."""
    return ago(taken_at, now, never=NONE)


def time_left(expires_at: str | None, now: Now) -> str:
    end, at = read(expires_at), read(now)
    return format_duration(max(end - at, timedelta())) if end and at else NONE
