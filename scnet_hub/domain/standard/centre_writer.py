"""Writes a `centre.toml`: the page of a centre that a program makes, for the demo and for tests. `centre.py` reads it.

TOML strings are JSON strings, so every value is written by `json`; the standard library alone is enough.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

Table = Mapping[str, object]


def centre_page(
    *,
    id: str,
    title: str,
    transport: Mapping[str, object],
    partition: Table,
    python: str,
    directory: object,
    host: str,
    memory_per_core: int,
    home: object = "{directory}/home/{account}",
    organisation: str = "",
    accounting: str = "sacct",
    core_hour: float = 1.0,
    gpu_hour: float = 0.0,
    interval: float = 15.0,
    busy_interval: float = 3.0,
) -> str:
    """The page of a centre with one partition. `python` is the sessions' interpreter, `directory` (a path) where their files lie,
    `memory_per_core` bytes; prices are credits an hour, intervals seconds."""
    session = {"python": python, "directory": str(directory), "home": str(home), "host": host, "memory_per_core": memory_per_core}
    return "\n".join(
        [
            *lines({"id": id, "name": title, "organisation": organisation, "dialect": "slurm", "accounting": accounting}),
            *table("[transport]", transport),
            *table("[[partition]]", partition),
            f"tariff = {inline({'core_hour': core_hour, 'gpu_hour': gpu_hour})}",
            *table("[session]", session),
            *table("[watch]", {"interval": interval, "busy_interval": busy_interval}),
            "",
        ]
    )


def table(head: str, values: Mapping[str, object]) -> list[str]:
    return ["", head, *lines(values)]


def lines(values: Mapping[str, object]) -> list[str]:
    return [f"{key} = {inline(value) if isinstance(value, Mapping) else json.dumps(value)}" for key, value in values.items()]


def inline(values: Mapping[str, object]) -> str:
    return "{ " + ", ".join(f"{key} = {json.dumps(value)}" for key, value in values.items()) + " }"
