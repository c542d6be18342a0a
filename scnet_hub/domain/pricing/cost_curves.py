"""Cost curves: the cost of a place over time, computed once for all sessions of equal size there.

The amounts equal `rates.bill_of_run(...).total`, without formulas: price changes are found once, so a further session
costs two searches in a list.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import accumulate, pairwise
from typing import NamedTuple

from .rates import Quantity, hourly
from .tariffs import NoPrice, Tariff

INSTANT = timedelta(microseconds=1)
HOUR = timedelta(hours=1) // INSTANT


class Course:
    """The cost of holding these amounts by `tariff` at any time from `since` to `until`. Amounts are micro-units of the
    tariff's unit."""

    def __init__(self, tariff: Tariff, amounts: Mapping[str, Quantity], since: datetime, until: datetime) -> None:
        self.unit, self.edges = tariff.unit, [since, *tariff.cuts(since, until)]
        self._rates = [_rate(tariff, amounts, edge) for edge in self.edges]
        whole = [
            _cost(rate, end - start) for rate, (start, end) in zip(self._rates, pairwise(self.edges), strict=False)
        ]
        self._before = [*accumulate(whole, initial=0)]  # of the segments before each edge

    def micros(self, start: datetime, end: datetime) -> int:
        """Returns the cost of a run from `start` to `end`, each segment rounded up, at least the minimum at its start;
        0 where a part of it has no price."""
        if len(self.edges) == 1 and self.edges[0] <= start <= end and (rate := self._rates[0]):  # the usual case
            return max(-(-rate.dear * ((end - start) // INSTANT) // rate.long), rate.minimum)
        first, last = bisect_right(self.edges, start) - 1, bisect_left(self.edges, end) - 1
        last = max(first, last)
        if end < start or first < 0 or any(rate is None for rate in self._rates[first : last + 1]):
            return 0
        begins, ends = self._rates[first], self._rates[last]
        if first == last:
            micros = _cost(begins, end - start)
        else:
            micros = _cost(begins, self.edges[first + 1] - start) + _cost(ends, end - self.edges[last])
            micros += self._before[last] - self._before[first + 1]
        return max(micros, begins.minimum if begins else 0)

    def hourly(self, now: datetime) -> int:
        """Returns the cost of an hour now; 0 where it has no price."""
        place = bisect_right(self.edges, now) - 1
        return _cost(self._rates[place], timedelta(hours=1)) if place >= 0 else 0


class _Rate(NamedTuple):
    """`dear` micro-units for `long` microseconds, exactly; `minimum` is that of a run that begins then."""

    dear: int
    long: int
    minimum: int


def _rate(tariff: Tariff, amounts: Mapping[str, Quantity], at: datetime) -> _Rate | None:
    try:
        rates = tariff.at(at)
        each = hourly(amounts, rates)
    except NoPrice:
        return None
    return _Rate(each.numerator, each.denominator * HOUR, rates.minimum)


def _cost(rate: _Rate | None, lasted: timedelta) -> int:
    """Returns the cost of that duration, rounded up once."""
    return 0 if rate is None else -(-rate.dear * (lasted // INSTANT) // rate.long)
