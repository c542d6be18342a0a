"""What a place costs over time, worked out once for however many sessions hold the same there.

The same amounts as `pricing.bill_of_run(...).total`, without formulas: where prices change is found once, so a further session costs two
searches in a list.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import accumulate, pairwise

from ..units import Amount
from .pricing import Quantity, hourly
from .tariffs import NoPrice, Tariff

INSTANT = timedelta(microseconds=1)
HOUR = timedelta(hours=1) // INSTANT


class Course:
    """Holding these amounts by `tariff` at any time from `since` to `until`."""

    def __init__(self, tariff: Tariff, amounts: Mapping[str, Quantity], since: datetime, until: datetime) -> None:
        self.unit, self.edges = tariff.unit, [since, *tariff.cuts(since, until)]
        self._hourly = [_hourly(tariff, amounts, edge) for edge in self.edges]
        self._minimum = [_minimum(tariff, edge) for edge in self.edges]
        whole = [_cost(each, end - start) for each, (start, end) in zip(self._hourly, pairwise(self.edges), strict=False)]
        self._before = [*accumulate(whole, initial=0)]  # of the segments before each edge

    def cost(self, start: datetime, end: datetime) -> Amount:
        """What a run from `start` to `end` costs, each segment rounded up, at least the minimum at its start; nothing where a part of it
        has no price."""
        first, last = bisect_right(self.edges, start) - 1, bisect_left(self.edges, end) - 1
        last = max(first, last)
        if end < start or first < 0 or None in self._hourly[first : last + 1]:
            return Amount(0, self.unit)
        if first == last:
            micros = _cost(self._hourly[first], end - start)
        else:
            micros = _cost(self._hourly[first], self.edges[first + 1] - start) + _cost(self._hourly[last], end - self.edges[last])
            micros += self._before[last] - self._before[first + 1]
        return Amount(max(micros, self._minimum[first]), self.unit)

    def hourly(self, now: datetime) -> Amount:
        """What an hour costs now; nothing where it has no price."""
        place = bisect_right(self.edges, now) - 1
        each = self._hourly[place] if place >= 0 else None
        return Amount(0 if each is None else -(-each.numerator // each.denominator), self.unit)


def _hourly(tariff: Tariff, amounts: Mapping[str, Quantity], at: datetime) -> Fraction | None:
    try:
        return hourly(amounts, tariff.at(at))
    except NoPrice:
        return None


def _minimum(tariff: Tariff, at: datetime) -> int:
    try:
        return tariff.at(at).minimum
    except NoPrice:
        return 0


def _cost(each: Fraction | None, lasted: timedelta) -> int:
    """Micro-units for so long, rounded up once."""
    return 0 if each is None else -(-each.numerator * (lasted // INSTANT) // (each.denominator * HOUR))
