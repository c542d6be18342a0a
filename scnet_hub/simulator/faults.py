"""The faults of a simulated federation: when centres are down. A black hole is simpler: it exists all the time."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from .workload import DAY, HOUR, Scenario

BETWEEN, LASTS = 3 * DAY, HOUR  # mean times


def outages_of(scenario: Scenario, spared: int) -> Iterator[tuple[int, float, float]]:
    """Yields (centre, from, to) for every centre except `spared`; the same for every policy. A centre that is down
    starts nothing, accepts nothing and answers nothing; running jobs continue."""
    for index in range(scenario.centres):
        rng = Random(f"{scenario.seed}/outages/{index}")
        at = rng.expovariate(1 / BETWEEN)
        while index != spared and at < scenario.horizon:
            end = at + rng.expovariate(1 / LASTS)
            yield index, at, end
            at = end + rng.expovariate(1 / BETWEEN)
