"""Makes the reference of `centre.toml` from `CentreSpec` itself: its JSON Schema for editors, and a page for people.

Returns texts only; callers write them to files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from .centre import CentreSpec

Json = dict[str, Any]
HEAD = """\
# centre.toml

The page describes one member centre, written by its admin. `scnet centres add FILE` adds it; a mistake is reported with
file, key and the expected value; `scnet centres check` compares the rest with the centre itself. [How to
join](../how-to/join-a-centre.md) has examples.

An editor that knows JSON Schema completes and checks the page while you write: put `#:schema centre.schema.json` in its
first line, with [centre.schema.json](centre.schema.json) beside it (`scnet centres schema` prints the schema).

Write sizes like `"256G"`, durations like `"24h"` or `"2-12:00:00"`. A key without a default is required. `{account}`
stands for the person's account at the centre.

This page is generated (`scnet centres schema --page`).
"""
FORMATS = {
    "walltime": "duration",
    "memory": "size",
    "network": "network",
    "date-time": "date and time",
    "date": "date",
    "clock": "time of day",
}
NULL = {"type": "null"}
TYPES = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false"}


def schema() -> Json:
    """Returns the JSON Schema of a centre's page."""
    document: Json = _as_toml(CentreSpec.model_json_schema())
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "centre.toml", **document}


def schema_text() -> str:
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _as_toml(node: Any) -> Any:
    """Removes titles, which repeat every key, null, which TOML doesn't have (the key is omitted instead), and the line
    ends of descriptions."""
    if isinstance(node, list):
        return [_as_toml(one) for one in node if one != NULL]
    if not isinstance(node, dict):
        return node
    kept: dict[str, Any] = {
        key: " ".join(value.split()) if key == "description" and isinstance(value, str) else _as_toml(value)
        for key, value in node.items()
        if value is not None and (key != "title" or isinstance(value, dict))
    }
    return {**kept.pop("anyOf")[0], **kept} if len(kept.get("anyOf", ())) == 1 else kept


def page() -> str:
    """Returns the reference for people, in Markdown: a section for each table of the page."""
    document = schema()
    parts = [HEAD, _section("The page itself", document, document)]
    parts += [_section(head, table, document) for head, table in _tables(document)]
    return "\n".join(parts)


def _tables(document: Json) -> Iterator[tuple[str, Json]]:
    """Yields (heading, schema) of every table in the order of the page; of several kinds the usual kind, which is the
    last, first."""
    for key, fact in document["properties"].items():
        many = fact.get("type") == "array"
        for table in reversed(_referred(fact.get("items", {}) if many else fact, document)):
            kind = table["properties"].get("kind", {}).get("const", "")
            yield (f"`[[{key}]]`" if many else f"`[{key}]`") + (f" of kind `{kind}`" if kind else ""), table
            for inner, deeper in table["properties"].items():
                listed = deeper.get("type") == "array"
                outer = f"[[{key}]]" if many else f"[{key}]"
                name = f"`[[{key}.{inner}]]`" if listed else f"`{inner}` in `{outer}`"
                yield from ((name, one) for one in _referred(deeper.get("items", {}) if listed else deeper, document))


def _referred(fact: Mapping[str, Any], document: Json) -> list[Json]:
    """Returns the schemas of the tables that a key may hold: none, one, or several alternatives."""
    references = [one["$ref"] for one in (fact, *fact.get("oneOf", ())) if "$ref" in one]
    return [document["$defs"][reference.rpartition("/")[2]] for reference in references]


def _section(head: str, table: Json, document: Json) -> str:
    lines = [
        f"## {head}",
        "",
        _one_line(table.get("description", "")),
        "",
        "| key | is | default | means |",
        "| --- | --- | --- | --- |",
    ]
    required = table.get("required", ())
    for key, fact in table["properties"].items():
        default = (
            ""
            if key in required or "default" not in fact
            else f"`{_toml(fact['default'])}`"
            if _short(fact)
            else "see below"
        )
        lines.append(f"| `{key}` | {_type(fact, document)} | {default} | {_one_line(fact.get('description', ''))} |")
    return "\n".join(lines) + "\n"


def _short(fact: Json) -> bool:
    return not (isinstance(fact["default"], dict) and fact["default"])


def _type(fact: Json, document: Json) -> str:
    if "const" in fact:
        return f'`"{fact["const"]}"`'
    if "enum" in fact:
        return " or ".join(f'`"{one}"`' for one in fact["enum"])
    if fact.get("type") == "array":
        items = fact["items"]
        if "enum" in items:
            return "list of " + ", ".join(f'`"{one}"`' for one in items["enum"])
        return "list of tables" if _referred(items, document) else f"list of {_type(items, document)}s"
    if _referred(fact, document):
        return "table"
    if "anyOf" in fact:
        return " or ".join(_type(one, document) for one in fact["anyOf"])
    if isinstance(values := fact.get("additionalProperties"), dict):
        return f"table of {TYPES[values['type']]}s"
    return FORMATS.get(fact.get("format", ""), "") or TYPES[fact["type"]] + _bounds(fact)


def _bounds(fact: Json) -> str:
    low, high = fact.get("minimum"), fact.get("maximum")
    if low is None:
        return ""
    return f" from {low:g}" + (f" to {high:,.10g}" if high is not None else "")


def _toml(value: Any) -> str:
    return "{}" if value == {} else json.dumps(value)


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
