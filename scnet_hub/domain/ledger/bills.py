"""Bills: the cost of a session copy's runs by its terms, part by part, with formulas and recipients.

Pure: runs, terms and outages are arguments. `usage/verdicts.py` decides which runs count, `charging` writes the ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ...units import Amount
from ..pricing.rates import bill, exact, segment_cost
from ..usage.refunds import Outage, refund
from ..usage.runs import Usage
from ..usage.segments import Segment, meters, segments
from ..usage.serialisation import Terms
from . import splits
from .entries import Posting

NOTHING = Amount(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The cost of one segment of a session. It counts at the time when the segment began."""

    at: datetime
    cost: Amount
    formula: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """The cost of a copy's runs, part by part, and the reason for the amount. `fee` is the federation's share, in
    millionths."""

    parts: tuple[Part, ...] = ()
    words: str
    fee: int = 0

    @property
    def total(self) -> Amount:
        return sum((part.cost for part in self.parts), NOTHING)


def earned(centre: str, cost: Amount, fee: int) -> tuple[Posting, ...]:
    """Returns who receives a charge: the centre, and the federation for its fee."""
    return splits.postings(splits.split(cost, splits.Shares(fee=fee)), centre=centre)


def nothing(words: str) -> Bill:
    return Bill(words=words)


def price(runs: Sequence[Usage], terms: Terms, outages: Sequence[Outage] = ()) -> Bill:
    """Returns the cost of a copy's runs, with the formula of each segment. Raises NoPrice."""
    found: list[Segment] = []
    words: list[str] = []
    for run in runs:
        spared = refund(run, outages)
        inner = terms.tariff.cuts(run.start, run.through) if run.start and run.through else ()
        paid = [one for one in segments(run, terms.zone, (*inner, *spared.cuts)) if not spared.covers(one)]
        found += paid
        if spared.spans or not paid:
            words.append(spared.reason.rstrip("."))
    return _bill(terms, found, words)


def _bill(terms: Terms, found: Sequence[Segment], words: Sequence[str]) -> Bill:
    tariff = terms.tariff
    costs = [segment_cost(meters(one), tariff.at(one.start), one.length) for one in found]
    least = Amount(tariff.at(found[0].start).minimum, tariff.unit) if found else NOTHING
    whole = bill(costs, least)
    parts = [Part(at=one.start, cost=cost.amount, formula=cost.formula) for one, cost in zip(found, costs, strict=True)]
    if whole.top_up:
        last = parts[-1]
        formula = f"{last.formula}; minimum of a session {exact(whole.minimum)}, so {exact(whole.top_up)} more"
        parts[-1] = Part(at=last.at, cost=last.cost + whole.top_up, formula=formula)
    return Bill(parts=tuple(parts), words="; ".join(([whole.formula] if found else []) + list(words)), fee=terms.fee)
