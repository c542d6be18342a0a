"""`dataclasses.replace` at a tenth of its cost, which was most of the cost of a decision: for dataclasses without slots
and checks.
"""

from __future__ import annotations

from typing import Any, TypeVar

T = TypeVar("T")


def alike(one: T, **changes: Any) -> T:
    """Returns a copy with these changes."""
    made: T = object.__new__(type(one))
    made.__dict__.update(one.__dict__, **changes)
    return made
