"""Writes a `centre.toml`: the page of a centre that a program makes, for the demo and for tests. `centre.py` reads it.

TOML strings are JSON strings, so every value is written by `json`; the standard library alone is enough.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

Table = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class CentrePage:
    """A centre with one partition. `python` is the sessions' interpreter, `directory` (a path) where their files lie,
    `memory_per_core` bytes; prices are credits an hour, intervals seconds."""

    id: str
    title: str
    transport: Table
    partition: Table
    python: str
    directory: object
    host: str
    memory_per_core: int
    home: object = "{directory}/home/{account}"
    organisation: str = ""
    accounting: str = "sacct"
    core_hour: float = 1.0
    gpu_hour: float = 0.0
    interval: float = 15.0
    busy_interval: float = 3.0

    def text(self) -> str:
        """Returns the text of the `centre.toml`."""
        about = {
            "id": self.id,
            "name": self.title,
            "organisation": self.organisation,
            "dialect": "slurm",
            "accounting": self.accounting,
        }
        places = {"python": self.python, "directory": str(self.directory), "home": str(self.home), "host": self.host}
        return "\n".join(
            [
                *lines(about),
                *table("[transport]", self.transport),
                *table("[[partition]]", self.partition),
                f"tariff = {inline({'core_hour': self.core_hour, 'gpu_hour': self.gpu_hour})}",
                *table("[session]", {**places, "memory_per_core": self.memory_per_core}),
                *table("[watch]", {"interval": self.interval, "busy_interval": self.busy_interval}),
                "",
            ]
        )


def table(head: str, values: Mapping[str, object]) -> list[str]:
    return ["", head, *lines(values)]


def lines(values: Mapping[str, object]) -> list[str]:
    return [
        f"{key} = {inline(value) if isinstance(value, Mapping) else json.dumps(value)}" for key, value in values.items()
    ]


def inline(values: Mapping[str, object]) -> str:
    return "{ " + ", ".join(f"{key} = {json.dumps(value)}" for key, value in values.items()) + " }"
