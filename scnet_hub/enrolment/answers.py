"""Reads the output of a visit's scripts and jobs with care: a line may be half written, a program may not be what its
name says.

A value that is not of the kind that our script gives is left out or raises Garbled, and is never used.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ..errors import Garbled

Json = dict[str, Any]
Kind = type | tuple[type, ...]

_DICTS: Mapping[str, Mapping[str, Kind]] = {
    "listens": {"host": str, "port": int, "error": str},
    "home": {"there": bool, "writable": bool},
    "hub": {"error": str},
    "environment": {"error": str},
}
_REPORT: Mapping[str, Kind] = {
    "version": list,
    "missing": dict,
    "scnet_hub": str,
    "sources": str,
    "seconds": (int, float),
}
_TRIAL: Mapping[str, Kind] = {"error": str, "node": str}
_TIMES: Mapping[str, Kind] = {"listened": (int, float), "kernel": (int, float)}
_SEEN: Mapping[str, Kind] = {"status": int, "body": str}


def errand(lines: Mapping[str, str]) -> Json:
    """Returns the facts of `errand.py` by key, from the text after each key; facts that are not complete (yet) are left
    out."""
    facts = {}
    for key, text in lines.items():
        try:
            fact = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if _is_fact(key, fact):
            facts[key] = fact
    return facts


def _is_fact(key: str, fact: Any) -> bool:
    if key not in _DICTS:
        return isinstance(fact, (str, bool))
    if not _has(fact, _DICTS[key]):
        return False
    if key == "environment" and not fact["error"]:
        return _is_report(fact)
    return key != "hub" or bool(fact["error"]) or _has(fact, _SEEN)


def report(line: str) -> Json:
    """Reads what `report.py` reports about the Python that ran it. Raises Garbled."""
    try:
        facts: Json = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Garbled(f"it answered {line[:80]!r}") from error
    if not _is_report(facts):
        raise Garbled(f"it answered {line[:80]!r}")
    return facts


def trial(line: str) -> Json:
    """Reads the result of `node/trial.py`. Raises Garbled."""
    try:
        found: Json = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Garbled(f"it said {line[:80]!r}") from error
    if not _has(found, _TRIAL) or not (found["error"] or _has(found, _TIMES)):
        raise Garbled(f"it said {line[:80]!r}")
    return found


def _is_report(facts: Any) -> bool:
    return (
        _has(facts, _REPORT) and len(facts["version"]) >= 2 and all(isinstance(part, int) for part in facts["version"])
    )


def _has(fact: Any, kinds: Mapping[str, Kind]) -> bool:
    return isinstance(fact, dict) and all(isinstance(fact.get(key), kind) for key, kind in kinds.items())


def whole_number(text: str) -> int | None:
    """Returns a size or a time; None if the text is not a whole number."""
    return int(text) if re.fullmatch(r"\d{1,18}", text.strip(), re.ASCII) else None
