"""Reads a page of TOML into its document. A mistake is a `SpecError` with the key and the expected value."""

from __future__ import annotations

import tomllib
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from ...errors import SpecError

D = TypeVar("D", bound=BaseModel)


def parse(document: type[D], text: str, *, source: str) -> D:
    try:
        told = tomllib.loads(text)
        if _too_large(told):
            raise ValueError("an integer has more than 64 bits")
    except tomllib.TOMLDecodeError as error:
        raise SpecError(
            f"{source}: not valid TOML: {error}.", hint="Correct the line that the message names."
        ) from error
    except (ValueError, RecursionError) as error:  # thousands of digits, or of brackets
        raise SpecError(
            f"{source}: not valid TOML: {error}.", hint="Remove that value: no key of the page needs it."
        ) from error
    try:
        return document.model_validate(told)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        more = f" ({error.error_count() - 1} more like it)" if error.error_count() > 1 else ""
        raise SpecError(
            f"{source}: {key}: {first['msg']}{more}.",
            hint=f"The value is {str(first.get('input'))[:80]!r}.",
            details={"source": source, "key": key},
        ) from error


def _too_large(value: object) -> bool:
    """Returns whether `value` holds an integer that TOML does not allow."""
    if isinstance(value, dict | list):
        return any(map(_too_large, value.values() if isinstance(value, dict) else value))
    return isinstance(value, int) and not -(2**63) <= value < 2**63
