"""Reads a page of TOML into its document. A mistake is a `SpecError` with the key and what was expected there."""

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
        raise SpecError(f"{source}: not TOML: {error}.", hint="Mend the line it names.") from error
    except (ValueError, RecursionError) as error:  # thousands of digits, or of brackets
        raise SpecError(f"{source}: not TOML that can be read: {error}.", hint="No key needs such a value.") from error
    try:
        return document.model_validate(told)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        more = f" ({error.error_count() - 1} more like it)" if error.error_count() > 1 else ""
        raise SpecError(
            f"{source}: {key}: {first['msg']}{more}.",
            hint=f"It says {str(first.get('input'))[:80]!r}.",
            details={"source": source, "key": key},
        ) from error


def _too_large(value: object) -> bool:
    """Whether there is an integer in it that TOML does not have."""
    if isinstance(value, dict | list):
        return any(map(_too_large, value.values() if isinstance(value, dict) else value))
    return isinstance(value, int) and not -(2**63) <= value < 2**63
