"""`python -m scnet_hub.broker.reference` prints docs/reference/rest.md, which is made from the OpenAPI document of the
calls."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from ..domain.addresses import PREFIX
from . import refusals
from .app import calls

Json = dict[str, Any]
HEAD = f"""\
# REST

The broker answers under `{PREFIX}`, below the path of the [installation's address](../how-to/address.md). Its OpenAPI
3.1 document is at `{PREFIX}/openapi.json`. Every call but `health` and `call-home` carries `Authorization: token T` (or
`Bearer T`), where T is any JupyterHub token with a `custom:scnet:*` scope: each session that the hub starts has one in
`JUPYTERHUB_API_TOKEN`.

| scope | may |
| --- | --- |
| `custom:scnet:use` | see centres, own sessions and balances; start and stop own sessions |
| `custom:scnet:operate` | the same for all people's sessions (operators, admins) |

A caller has [at most 4 requests at work](../explanation/overload.md) and 28 in line; more are refused with 429, or with
503 when the broker as a whole has too much to do. Both carry `Retry-After`, and nothing was done.

A refusal is `application/problem+json` ([Problem](#problem)) with a stable `code`, a sentence in `title`, what to try
in `hint`, who must act in `acts`, and `details`. Times are ISO 8601 UTC, durations seconds (`_s`), memory bytes,
amounts credits as numbers (micro-credits inside).

A body is one JSON object in UTF-8 of at most 256 KiB. Whole numbers fit into 64 bits, other numbers are finite, and
text holds neither NUL characters nor unpaired surrogates. Times and days are from 1970-01-01 to 2199-12-31; a time
without a zone is UTC, in `GET usage` the federation's zone. An amount is over zero, at most 1,000,000,000 credits, and
at least a micro-credit. Whatever is not so, and every field or parameter of another name, is refused with status 400
and the code `bad-option`.

Lists come in pages: at most `limit` rows, and `next`, which is the next page's `after`, or null on the last page.

This page is generated (`python -m scnet_hub.broker.reference > docs/reference/rest.md`).
"""
ALWAYS = (
    "bad-option",
    "too-large",
    "too-slow",
    "too-many-requests",
    "overloaded",
    "not-stored",
    "bad-token",
    "no-scope",
    "hub-away",
)
SELDOM = ("fault", "bad-spec", "http")
NUMBERS = {
    "minimum": "from {:,}",
    "exclusiveMinimum": "over {:,}",
    "maximum": "to {:,}",
    "exclusiveMaximum": "under {:,}",
}


def page() -> str:
    document = calls().openapi()
    by_tag: dict[str, list[tuple[str, str, Json]]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            by_tag.setdefault(operation["tags"][0], []).append(
                (method.upper(), path.removeprefix(PREFIX + "/"), operation)
            )
    parts = [HEAD, *(_noun(tag, listed) for tag, listed in by_tag.items()), "## Documents\n"]
    schemas = document["components"]["schemas"]
    codes = {refusals.schema_name(code) for code in refusals.ALL}
    parts += [_schema(name, schema) for name, schema in schemas.items() if name not in codes]
    parts.append(_codes())
    return "\n".join(parts)


def _noun(tag: str, listed: list[tuple[str, str, Json]]) -> str:
    lines = [
        f"## {tag.replace('-', ' ').capitalize()}",
        "",
        "| call | takes | answers | refuses | |",
        "| --- | --- | --- | --- | --- |",
    ]
    for method, path, operation in listed:
        cells = (
            f"`{method} {path}`",
            _takes(operation),
            _answers(operation),
            _refuses(operation),
            operation.get("description", ""),
        )
        lines.append(f"| {' | '.join(_cell(one) for one in cells)} |")
    return "\n".join(lines) + "\n"


def _takes(operation: Json) -> str:
    given = [one for one in operation.get("parameters", ()) if one["in"] == "query"]
    words = [f"`{one['name']}`{'' if one.get('required') else _default(one['schema'])}" for one in given]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    return "; ".join(filter(None, [f"body {_type(body)}" if body else "", f"?{', '.join(words)}" if words else ""]))


def _default(schema: Json) -> str:
    return "" if schema.get("default") in (None, "", False) else f" ({schema['default']})"


def _answers(operation: Json) -> str:
    found: dict[str, list[str]] = {}
    for status, one in operation["responses"].items():
        for media, content in one.get("content", {}).items():
            if media == "application/json":
                found.setdefault(_type(content["schema"]), []).append(status)
            elif media != "application/problem+json":
                found.setdefault(f"`{media}`", []).append(status)
    return "; ".join(
        f"{', '.join(statuses)} {words}" if statuses != ["200"] else words for words, statuses in found.items()
    )


def _refuses(operation: Json) -> str:
    """Returns the codes of the call itself; codes that every call with a token, or with a body, may have are stated
    once."""
    schemas = [
        one["content"].get("application/problem+json", {}).get("schema", {}) for one in operation["responses"].values()
    ]
    refs = {
        one["$ref"].rpartition("/")[2]
        for schema in schemas
        for one in (*schema.get("oneOf", ()), schema)
        if "$ref" in one
    }
    return ", ".join(
        f"`{code}`" for code in refusals.ALL if refusals.schema_name(code) in refs and code not in ALWAYS + SELDOM
    )


def _schema(name: str, schema: Json) -> str:
    lines = [f"### {name}", ""]
    if words := schema.get("description"):
        lines += [_cell(words), ""]
    lines += ["| field | is | |", "| --- | --- | --- |"]
    for field, one in schema.get("properties", {}).items():
        need = "" if field in schema.get("required", ()) else " (may be left out)"
        lines.append(f"| `{field}` | {_cell(_type(one))}{need} | {_cell(one.get('description', ''))} |")
    return "\n".join(lines) + "\n"


def _type(schema: Json) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "const" in schema:
        return f'"{schema["const"]}"' if isinstance(schema["const"], str) else str(schema["const"]).lower()
    if "enum" in schema:
        return ", ".join(f'"{one}"' for one in schema["enum"])
    if several := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(_type(one) for one in several))
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}" if schema.get("items") else "list"
    if schema.get("type") == "object":
        values = schema.get("additionalProperties")
        return f"object of {_type(values)}" if isinstance(values, dict) and values else "object"
    words = [
        schema.get("format")
        or {"string": "text", "integer": "whole number", "boolean": "true or false"}.get(schema.get("type", ""), "")
    ]
    return " ".join([words[0] or str(schema.get("type", "anything")), *_bounds(schema)])


def _bounds(schema: Json) -> Iterator[str]:
    yield from (words.format(schema[name]) for name, words in NUMBERS.items() if name in schema)
    if "maxLength" in schema:
        yield f"of at most {schema['maxLength']:,} characters"


def _codes() -> str:
    lines = ["## Codes", "", "[Errors](errors.md) says more.", "", "| code | HTTP | when |", "| --- | --- | --- |"]
    lines += [
        f"| `{code}` | {', '.join(map(str, one.statuses))} | {_cell(one.when)} |" for code, one in refusals.ALL.items()
    ]
    each, seldom = (", ".join(f"`{code}`" for code in codes) for codes in (ALWAYS, SELDOM))
    return (
        "\n".join(
            [
                *lines,
                "",
                f"Every call may be refused with {each}, as far as it takes a token or a body; and with {seldom}.",
            ]
        )
        + "\n"
    )


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(page())
