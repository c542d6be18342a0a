"""The JSON object in a request's body, read within bounds, and its schema as the OpenAPI document shows it.

JSON as RFC 8259 has it: UTF-8, and no NaN. What no database, file or scheduler could hold is refused here for every call: numbers over 64
bits, NUL characters and unpaired surrogates.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from fastapi import Request

from ..errors import BadOption

Json = dict[str, Any]
MAX_BODY = 256 * 1024
INT64 = 2**63


async def body_of(request: Request) -> Json:
    """The JSON object in the body; {} for none. Raises BadOption for anything else, and for more than 256 KiB."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_BODY:
            raise BadOption(f"The body is over {MAX_BODY // 1024} KiB.", hint="Put large inputs into a file.", code="too-large")
    return parse(bytes(data))


def parse(data: bytes) -> Json:
    """The same of a body's bytes."""
    try:
        body = json.loads(data.decode() or "{}")
    except UnicodeDecodeError as error:
        raise BadOption("The body is not text in UTF-8.", hint="Send JSON in UTF-8, without a byte order mark.") from error
    except (ValueError, RecursionError) as error:
        raise BadOption("The body is not JSON.", hint="Send one JSON object in UTF-8.") from error
    if not isinstance(body, dict):
        raise BadOption("The body must be a JSON object.")
    if any(_unfit(name) for name in body):
        raise BadOption("A name in the body holds a NUL character or an unpaired surrogate.")
    for name, value in body.items():
        if wrong := next((found for one in _values(value) if (found := _unfit(one))), ""):
            raise BadOption(f"{name[:40]}: {wrong}", details={"field": name[:40]})
    return body


def only(body: Json, *names: str) -> None:
    """Raises BadOption for a field of another name."""
    if unknown := sorted(set(body) - set(names)):
        raise BadOption(f"Unknown field {unknown[0][:40]!r}.", hint=f"Known: {', '.join(names)}.")


def _values(value: Any) -> Iterator[Any]:
    """Every key, text and number in it, however deep."""
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
    """Why this value is refused; "" if it isn't."""
    if isinstance(one, str):
        if "\0" in one:
            return "must not hold NUL characters."
        return "" if one.isascii() or _encodes(one) else "must be Unicode text, and holds an unpaired surrogate."
    if isinstance(one, int) and not -INT64 <= one < INT64:
        return "holds a whole number that does not fit into 64 bits."
    if isinstance(one, float) and not math.isfinite(one):
        return "holds a number that is infinite or not a number."
    return ""


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def described(*, required: tuple[str, ...] = (), **properties: Json) -> Json:
    """The schema of a call's body, for `openapi_extra`: an object of these properties and no others."""
    schema: Json = {"type": "object", "additionalProperties": False, "properties": properties}
    if required:
        schema["required"] = [*required]
    return {"requestBody": {"required": bool(required), "content": {"application/json": {"schema": schema}}}}


def texts(most: int) -> Json:
    return {"type": "string", "maxLength": most}


INSTANT: Json = {"type": "string", "format": "date-time"}
DAY: Json = {"type": "string", "format": "date"}
