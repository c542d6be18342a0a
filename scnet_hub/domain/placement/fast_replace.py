"""`dataclasses.replace` at a tenth of its cost, most of what a decision cost: for dataclasses without slots that check nothing."""

from __future__ import annotations

from typing import Any, TypeVar

T = TypeVar("T")


def alike(one: T, **changes: Any) -> T:
    """The same with these changes."""
    made: T = object.__new__(type(one))
    made.__dict__.update(one.__dict__, **changes)
    return made
