"""Reads Slurm's host lists: "n[001-003,07]", "a[1-2]b[3-4]", "n[1-2],m3", "r1n[1-2]-ib".

Sources: `hostlist_ranged_string` in src/common/hostlist.c, scontrol(1) "show hostnames". Names are made one by one: a
range of millions costs only as much as the names that are used.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

# of a list: a comma in brackets ends no item. Takes time by the length alone
_ITEM = re.compile(r"(?:[^,\[]+|\[[^\]]*\]?)+")
_PART = re.compile(r"\[([^\[\]]*)\]|([^\[\]]+)")
_RANGE = re.compile(r"(\d{1,18})(?:-(\d{1,18}))?", re.ASCII)
MOST_PARTS = 64  # of a name, in brackets and between them: Slurm knows five dimensions
Numbers = Callable[[], Iterator[str]]
NONE = frozenset({"", "(null)", "None", "None assigned", "n/a", "N/A"})


def hosts(text: str) -> Iterator[str]:
    """Yields the names in a host list, in its order; none for text that stands for no node. Text that is not a host
    list is a name, unchanged."""
    if text.strip() in NONE:
        return
    for item in _ITEM.findall(text.strip()):
        yield from _item(item.strip())


def first_host(text: str) -> str:
    """Returns the first name; "" if there is none."""
    return next(hosts(text), "")


def _item(item: str) -> Iterator[str]:
    parts = [match.groups() for match in _PART.finditer(item)]
    whole = (
        "".join(f"[{inside}]" if inside is not None else plain for inside, plain in parts) == item
        and len(parts) <= MOST_PARTS
    )
    return _names([plain if inside is None else _numbers(inside) for inside, plain in parts]) if whole else iter([item])


def _names(parts: Sequence[str | Numbers]) -> Iterator[str]:
    """Yields the names; the last dimension runs first, as Slurm prints it; each name is made when it is used."""
    if not parts:
        yield ""
        return
    head, *tail = parts
    for name in [head] if isinstance(head, str) else head():
        yield from (name + rest for rest in _names(tail))


def _numbers(inside: str) -> Numbers:
    """Returns the numbers of "001-003,07": with the leading zeros of the first number."""

    def each() -> Iterator[str]:
        for piece in inside.split(","):
            match = _RANGE.fullmatch(piece)
            if match:
                first, last = match[1], match[2] or match[1]
                yield from (f"{number:0{len(first)}}" for number in range(int(first), int(last) + 1))
            else:
                yield piece

    return each
