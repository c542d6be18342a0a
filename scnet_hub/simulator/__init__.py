"""The simulator: a federation of batch centres replayed from logs, and policies that place people's sessions in it.

`workload_of` draws the events, `simulate` runs one policy over them, `summary` summarises the results. The policy
`scnet` is the product's own `place()`, breaker and second chances; it is compared with the others.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

from ..errors import BadOption
from .ideal import Everywhere, oracle
from .policies import Single, earliest_start, in_turn, least_loaded, power_of_two, random
from .product import Product
from .results import quantile, summary, waits
from .run import Router, Run
from .swf import Site, sites_of
from .workload import LOADS, Scenario, Workload, checked, workload_of

__all__ = [
    "LOADS", "POLICIES", "Run", "Scenario", "Site", "Workload", "chosen", "checked", "quantile", "simulate", "sites_of",
    "summary", "waits", "workload_of",
]  # fmt: skip

POLICIES: dict[str, Callable[[Run], Router]] = {
    "random": lambda run: Single(run, random, watches=False),
    "round_robin": lambda run: Single(run, in_turn(), watches=False),
    "least_loaded": lambda run: Single(run, least_loaded, watches=True),
    "power_of_two": lambda run: Single(run, power_of_two, watches=True),
    "earliest_start": lambda run: Single(run, earliest_start, watches=True),
    "scnet": Product,
    "all_centres": Everywhere,
    "oracle": oracle,
}


def chosen(names: str) -> list[str]:
    """Returns the named policies, separated by commas; "" means all. Raises BadOption."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if unknown := [name for name in wanted if name not in POLICIES]:
        raise BadOption(f"Unknown policy {unknown[0]!r}.", hint=f"Known policies: {', '.join(POLICIES)}.")
    return list(dict.fromkeys(wanted)) or list(POLICIES)


def simulate(workload: Workload, policy: str, **options: Any) -> Run:
    """Runs one policy by name; `check` and `tell` as in `Run`. Turns Python's cycle collector off meanwhile: the
    millions of jobs of a log are in no cycle, and searching them takes a quarter of the time."""
    looked = gc.isenabled()
    gc.disable()
    try:
        return Run(workload, POLICIES[policy], **options).go()
    finally:
        if looked:
            gc.enable()
