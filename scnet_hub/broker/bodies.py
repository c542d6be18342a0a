"""Reads the JSON object in a request's body within bounds and then as a model; makes answers of documents.

JSON as in RFC 8259: UTF-8, and no NaN. Values that no database, file or scheduler could hold are refused here for every
call: numbers over 64 bits, NUL characters and unpaired surrogates.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from fastapi import Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError

from ..errors import BadOption

Json = dict[str, Any]
M = TypeVar("M", bound=BaseModel)
MAX_BODY = 256 * 1024
INT64 = 2**63
SHOWN = 40  # characters of the given value that a refusal repeats


class BodyOf(Generic[M]):
    """Is a dependency that returns the body as a `model`. The OpenAPI document finds the model among a call's
    dependencies."""

    def __init__(self, model: type[M]) -> None:
        self.model = model

    async def __call__(self, request: Request) -> M:
        """Returns the validated body. Raises BadOption."""
        return validated(self.model, await body_of(request))


class OptionsOf(BodyOf[M]):
    """Is a dependency that returns the body unchanged: `domain/sessions/requests.py` checks options, for forms and REST
    alike. The model only documents them."""

    async def __call__(self, request: Request) -> Json:  # type: ignore[override]
        return await body_of(request)


def answer(document: Json, status: int = 200) -> JSONResponse:
    """Answers with a document as given, without validating it again: the tests check answers against their models."""
    return JSONResponse(document, status)


async def body_of(request: Request) -> Json:
    """Returns the JSON object in the body; {} for an empty body. Raises BadOption if the body is not a JSON object or
    is larger than 256 KiB."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_BODY:
            raise BadOption(
                f"The body is larger than {MAX_BODY // 1024} KiB.",
                hint="Put large inputs into a file.",
                code="too-large",
            )
    return parse(bytes(data))


def parse(data: bytes) -> Json:
    """Returns the JSON object in the bytes of a body, with the same refusals as `body_of`."""
    try:
        body = json.loads(data.decode() or "{}")
    except UnicodeDecodeError as error:
        raise BadOption("The body is not UTF-8 text.", hint="Send JSON in UTF-8, without a byte order mark.") from error
    except (ValueError, RecursionError) as error:
        raise BadOption("The body is not JSON.", hint="Send one JSON object in UTF-8.") from error
    if not isinstance(body, dict):
        raise BadOption("The body must be a JSON object.")
    if any(_unfit(name) for name in body):
        raise BadOption("A name in the body holds a NUL character or an unpaired surrogate.")
    for name, value in body.items():
        if wrong := next((found for one in _values(value) if (found := _unfit(one))), ""):
            raise BadOption(f"{name[:SHOWN]}: {wrong}", details={"field": name[:SHOWN]})
    return body


def validated(model: type[M], body: Json) -> M:
    """Returns `body` as a `model`. Raises BadOption, which names the field, what was given and what is allowed."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise _refusal(model, error) from error


def _refusal(model: type[BaseModel], error: ValidationError) -> BadOption:
    first = error.errors(include_url=False)[0]
    field, known = ".".join(str(part)[:SHOWN] for part in first["loc"]), f"Known: {', '.join(model.model_fields)}."
    if first["type"] == "extra_forbidden":
        return BadOption(f"Unknown field {field!r}.", hint=known, details={"field": field})
    if first["type"] == "missing":
        return BadOption(f"{field}: is missing.", hint=known, details={"field": field})
    allowed = first["msg"].replace("Input should", "must", 1)
    return BadOption(f"{field}: {allowed}, not {_shown(first['input'])}.", details={"field": field})


def _shown(given: object) -> str:
    return repr(given)[:SHOWN] if isinstance(given, str | int | float | None) else type(given).__name__


def _values(value: Any) -> Iterator[Any]:
    """Yields every key, text and number in `value`, at any depth."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += [*one, *one.values()]
        elif isinstance(one, list):
            waiting += one
        else:
            yield one


def _unfit(one: Any) -> str:
    """Returns why this value is refused; "" if it is allowed."""
    if isinstance(one, str):
        if "\0" in one:
            return "must not hold NUL characters."
        return "" if one.isascii() or _encodes(one) else "must be Unicode text, but holds an unpaired surrogate."
    if isinstance(one, int) and not -INT64 <= one < INT64:
        return "holds an integer that does not fit into 64 bits."
    if isinstance(one, float) and not math.isfinite(one):
        return "holds an infinite number or NaN."
    return ""


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
