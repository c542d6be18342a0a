"""Prints the numbers of a benchmark, each beside its bound, as a table for people or as one JSON document."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]


def arguments(words: str | None) -> argparse.ArgumentParser:
    """Returns a parser with the description `words` and the option `--json`."""
    parser = argparse.ArgumentParser(description=words, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON document on one line")
    return parser


def number(what: str, value: float, unit: str = "", *, least: float | None = None, most: float | None = None) -> Json:
    """Returns a value with its bounds, both included. Without a bound it holds."""
    holds = (least is None or value >= least) and (most is None or value <= most)
    return {"what": what, "unit": unit, "value": round(value, 4), "least": least, "most": most, "holds": holds}


def show_numbers(numbers: Sequence[Json], *, as_json: bool) -> None:
    """Prints what `number` made."""
    if as_json:
        print(json.dumps({"numbers": numbers, "holds": all(one["holds"] for one in numbers)}))
        return
    width = max((len(one["what"]) for one in numbers), default=0)
    for one in numbers:
        print(f"{one['what']:{width}} {one['value']:>11,.3f} {one['unit']:3} {judged(one)}".rstrip())


def judged(one: Json) -> str:
    """Returns a number's bounds and whether they hold, in words; "" without a bound."""
    bounds = " and ".join(
        f"{word} {one[key]:g}" for key, word in (("least", "at least"), ("most", "at most")) if one[key] is not None
    )
    return f"{bounds}: {'holds' if one['holds'] else 'FAILS'}" if bounds else ""


def show(report: Json, *, as_json: bool) -> None:
    """Prints a report of any form as JSON."""
    print(json.dumps(report, indent=None if as_json else 2))


def note(text: str) -> None:
    """Prints how far the benchmark has come, beside its result."""
    print(f"… {text}", file=sys.stderr, flush=True)
