"""Pages of lists: `limit` rows after a cursor, which is the `next` of the previous page. Every list has a ceiling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from ..errors import BadOption

T = TypeVar("T")
PAGE, MOST = 200, 1000  # rows of one answer: the default, and the most


def page(rows: Sequence[T], key: Callable[[T], str], after: str, limit: int) -> tuple[list[T], str | None]:
    """Returns the rows after the row whose key is `after` ("": from the first row), and the cursor of the next page, or
    None. Raises BadOption if no row has that key."""
    first = 0
    if after:
        first = next((place for place, row in enumerate(rows, 1) if key(row) == after), 0)
        if not first:
            raise BadOption(f"after: {after[:40]!r} is not in this list.", hint="Give the `next` of the previous page.")
    found = list(rows[first : first + limit])
    return found, key(found[-1]) if first + limit < len(rows) else None


def sorted_page(rows: Sequence[T], key: Callable[[T], str], after: str, limit: int) -> tuple[list[T], str | None]:
    """Returns a page like `page`, for rows that appear and disappear: in the order of their keys, those after
    `after`."""
    left = sorted((row for row in rows if key(row) > after), key=key)
    return left[:limit], key(left[limit - 1]) if len(left) > limit else None
