"""`dataclasses.replace` and the constructor of a frozen dataclass at a tenth and a third of their cost, which was most
of the cost of a decision: for dataclasses without slots and checks.
"""

from __future__ import annotations

from typing import Any, TypeVar

T = TypeVar("T")


def alike(one: T, **changes: Any) -> T:
    """Returns a copy with these changes."""
    other: T = object.__new__(type(one))
    object.__setattr__(other, "__dict__", one.__dict__ | changes)
    return other


def made(kind: type[T], **fields: Any) -> T:
    """Returns a new value. An omitted field has its default, so no field with a `default_factory` may be omitted."""
    one: T = object.__new__(kind)
    object.__setattr__(one, "__dict__", fields)
    return one
